#include "daemon/rpc/trace.h"

#include <doctest/doctest.h>

#include "daemon/exec/system_clock.h"

namespace beamline::rpc {
namespace {

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

TEST_CASE("a caller's trace goes on") {
  CHECK(TraceIdOf("00-" + kTrace + "-00f067aa0ba902b7-01") == kTrace);
  CHECK(TraceIdOf("01-" + kTrace + "-00f067aa0ba902b7-01-later") == kTrace);
}

TEST_CASE("a malformed traceparent begins a new trace") {
  CHECK(TraceIdOf("") == "");
  CHECK(TraceIdOf("00-" + kTrace + "-00f067aa0ba902b7") == "");
  CHECK(TraceIdOf("00-" + kTrace + "-00f067aa0ba902b7-01-more") == "");
  CHECK(TraceIdOf("ff-" + kTrace + "-00f067aa0ba902b7-01") == "");
  CHECK(TraceIdOf("00-" + std::string(32, '0') + "-00f067aa0ba902b7-01") == "");
  CHECK(TraceIdOf("00-" + kTrace + "-" + std::string(16, '0') + "-01") == "");
  CHECK(TraceIdOf("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01") == "");
}

TEST_CASE("new trace ids are 32 hex digits and differ") {
  exec::SystemClock clock;
  const std::string first = NewTraceId(clock), second = NewTraceId(clock);
  CHECK(first.size() == 32);
  CHECK(first.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(first != second);
}

}  // namespace
}  // namespace beamline::rpc
