// What models consumed, added up.
#pragma once

#include "beamline/v1/usage.pb.h"

namespace beamline::proto {

// The sum has no `provider` and `model`; it has a price as long as all that was added has one.
void AddUsage(const v1::Usage& more, v1::Usage* total);

}  // namespace beamline::proto
