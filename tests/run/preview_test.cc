// A retry that is only looked at: the decision of the real one, and nothing changed.
#include "daemon/run/preview.h"

#include <doctest/doctest.h>

#include "daemon/run/decide.h"
#include "flowspec/parse.h"
#include "tests/run/describe.h"

namespace beamline::run {
namespace {

constexpr char kFlow[] = R"(
beamline: flow/v1
name: ship
steps:
  - {id: fetch, run: 'true'}
  - {id: each, foreach: {items: [1, 2, 3], max_parallel: 3}, run: 'true'}
  - {id: pack, run: 'true'}
finally:
  - {id: clean, run: 'true'}
)";

void Do(RunState& state, Wish wish) {
  const auto events = Advance(state, {"system", 0, std::move(wish)}, TestStart());
  REQUIRE_MESSAGE(events.ok(), events.status().message());
}

void Try(RunState& state, const std::string& path, bool succeeds) {
  Do(state, ReportResolution{.path = path, .attempt = 1});
  ReportAttempt report{.path = path};
  if (!succeeds) {
    report.outcome = Outcome::kFailed;
    report.error = {"exit", "exit code 1", 1};
  }
  Do(state, std::move(report));
}

// A run that has ended because the second of three items failed.
RunState Failed() {
  flowspec::ParseResult parsed = flowspec::ParseFlow(kFlow, {.compile_expressions = false});
  REQUIRE(parsed.flow != nullptr);
  RunState state(MakePlan(parsed.flow));
  StartRun start;
  start.start.flow_name = "ship";
  Do(state, start);
  Try(state, "fetch", true);
  ReportResolution fan{.path = "each"};
  fan.items = Value::Json("[1,2,3]");
  fan.count = 3;
  Do(state, fan);
  for (const char* item : {"each[0]", "each[1]", "each[2]"}) {
    Do(state, ReportResolution{.path = item, .attempt = 1});
  }
  Do(state, ReportAttempt{.path = "each[0]"});
  Do(state, ReportAttempt{.path = "each[2]"});
  ReportAttempt bad{.path = "each[1]", .outcome = Outcome::kFailed};
  bad.error = {"exit", "exit code 1", 1};
  Do(state, bad);
  if (state.status != Status::kFailed) Try(state, "clean", true);
  REQUIRE(state.status == Status::kFailed);
  return state;
}

TEST_CASE("a preview tells what runs again and what stays, with the facts of the real decision") {
  RunState state = Failed();
  const std::string before = Dump(state);
  const RetryStep wish{.why = {"", "r1", "h"}};
  const auto preview = PreviewRetry(state, wish, TestStart());
  REQUIRE_MESSAGE(preview.ok(), preview.status().message());
  CHECK(Dump(state) == before);
  REQUIRE(preview->kept.size() == 2);
  CHECK(preview->kept[0].path == "fetch");
  CHECK(preview->kept[0].items == 0);
  CHECK(preview->kept[1].path == "each");
  CHECK(preview->kept[1].items == 2);

  const auto events = Advance(state, {"uid:1", 0, wish}, TestStart());
  REQUIRE(events.ok());
  REQUIRE(events->size() >= preview->facts.size());
  for (size_t i = 0; i < preview->facts.size(); ++i) {
    CHECK(FactName((*events)[i].fact) == std::string(FactName(preview->facts[i])));
    CHECK(FactPath((*events)[i].fact) == FactPath(preview->facts[i]));
  }
}

TEST_CASE("what a retry would be refused, its preview is") {
  const RunState state = Failed();
  CHECK(absl::IsFailedPrecondition(PreviewRetry(state, {.path = "fetch"}, TestStart()).status()));
  CHECK(absl::IsNotFound(PreviewRetry(state, {.path = "nothing"}, TestStart()).status()));
}

}  // namespace
}  // namespace beamline::run
