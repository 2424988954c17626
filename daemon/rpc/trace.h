// W3C trace context: the caller's trace goes on, or a new one begins.
// https://www.w3.org/TR/trace-context/
#pragma once

#include <string>
#include <string_view>

#include "daemon/ports/clock.h"

namespace beamline::rpc {

// The trace id (32 lower-case hex digits) in a traceparent; empty if it is malformed, which by the
// specification means that a new trace begins.
std::string TraceIdOf(std::string_view traceparent);

std::string NewTraceId(ports::Clock& clock);

}  // namespace beamline::rpc
