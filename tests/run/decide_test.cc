// What is refused, with the precise error. What is accepted is told by the transcripts.
#include "daemon/run/decide.h"

#include <doctest/doctest.h>

#include "daemon/run/pending.h"
#include "flowspec/parse.h"
#include "tests/run/describe.h"

namespace beamline::run {
namespace {

RunState Started(const char* yaml) {
  flowspec::ParseResult parsed = flowspec::ParseFlow(yaml, {.compile_expressions = false});
  REQUIRE(parsed.flow != nullptr);
  RunState state(MakePlan(parsed.flow));
  StartRun wish;
  wish.start.flow_name = parsed.flow->name;
  REQUIRE(Advance(state, {"uid:1", 0, wish}, TestStart()).ok());
  return state;
}

constexpr char kTwoSteps[] = R"(
beamline: flow/v1
name: two
timeout: 1h
steps:
  - {id: a, run: 'true'}
  - {id: b, run: 'true'}
)";

absl::Status Refusal(RunState& state, Wish wish, absl::Duration at = {}) {
  const std::string before = Dump(state);
  absl::Status status = Advance(state, {"system", 0, std::move(wish)}, TestStart() + at).status();
  CHECK(Dump(state) == before);  // a refused command leaves no trace
  return status;
}

}  // namespace

TEST_CASE("a report about an attempt that is not running is stale") {
  RunState state = Started(kTwoSteps);
  CHECK(absl::IsAborted(Refusal(state, ReportAttempt{.path = "a"})));  // not started
  CHECK(absl::IsAborted(Refusal(state, ReportAttempt{.path = "b"})));  // not in turn
  CHECK(absl::IsAborted(Refusal(state, ReportAttempt{.path = "nosuch"})));
  REQUIRE(
      Advance(state, {"system", 0, ReportResolution{.path = "a", .attempt = 1}}, TestStart()).ok());
  CHECK(absl::IsAborted(Refusal(state, ReportAttempt{.path = "a", .attempt = 2})));
  CHECK(absl::IsAborted(Refusal(state, ReportResolution{.path = "a", .attempt = 1})));
  REQUIRE(Advance(state, {"system", 0, ReportAttempt{.path = "a"}}, TestStart()).ok());
  CHECK(absl::IsAborted(Refusal(state, ReportAttempt{.path = "a"})));  // a second outcome
}

TEST_CASE("a timer that comes before its time is refused") {
  RunState state = Started(kTwoSteps);
  CHECK(absl::IsFailedPrecondition(
      Refusal(state, FireTimer{}, absl::Hours(1) - absl::Nanoseconds(1))));
  CHECK(Refusal(state, FireTimer{.path = "a"}, absl::Hours(2)).code() ==
        absl::StatusCode::kAborted);
  CHECK(Advance(state, {"system", 0, FireTimer{}}, TestStart() + absl::Hours(1)).ok());
}

TEST_CASE("a finished run takes no more commands") {
  RunState state = Started(kTwoSteps);
  REQUIRE(Advance(state, {"uid:1", 0, CancelRun{"enough"}}, TestStart()).ok());
  REQUIRE(state.status == Status::kCancelled);
  CHECK(Refusal(state, CancelRun{"again"}).message() == "the run is already over: cancelled");
  CHECK(absl::IsAborted(Refusal(state, ReportResolution{.path = "a", .attempt = 1})));
  CHECK(Pending(state).empty());
}

}  // namespace beamline::run
