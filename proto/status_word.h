// The words of the flow format for statuses.
#pragma once

#include <string_view>

#include "beamline/v1/event.pb.h"

namespace beamline::proto {

// True for the statuses that a step or run never leaves by itself; parked and waiting are not.
bool IsTerminal(v1::Status status);
// The status word of the flow format: "pending", "running", …; "" for an unspecified one.
const char* StatusWord(v1::Status status);
// The status of a word, or STATUS_UNSPECIFIED.
v1::Status StatusFromWord(std::string_view word);

}  // namespace beamline::proto
