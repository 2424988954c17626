// The published JSON Schemas, compiled in (embed_schemas.cmake writes the definitions).
#pragma once

namespace beamline::cli {

extern const char kFlowSchema[];
extern const char kPolicySchema[];

}  // namespace beamline::cli
