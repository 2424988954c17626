// Span ids that everyone who knows a step's place can compute, so that none has to be stored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace beamline::codec {

// The W3C span id (16 lower-case hex digits, never all zero) of an attempt of a step, of the step
// itself (`attempt` 0) or of the run (empty `path`). `run_id`: its 26 characters. The same in every
// release: traces of one run may come from several of them.
// https://www.w3.org/TR/trace-context/#parent-id
std::string SpanId(std::string_view run_id, std::string_view path, int32_t attempt);

// The id of the step at `path`: its last element without an index. "enrich[17]/load" → "load",
// "enrich[17]" → "enrich".
std::string_view StepId(std::string_view path);

}  // namespace beamline::codec
