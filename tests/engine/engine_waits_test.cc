// Waits and signals, and runs that leave memory while they wait.
#include <doctest/doctest.h>

#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

const char kPaid[] = R"(beamline: flow/v1
name: order
inputs: {order: {type: number, default: 1}}
steps:
  - id: paid
    wait: {signal: {name: paid, match: {order: '${{ inputs.order }}'}}}
    output: '${{ output.cents }}'
  - id: total
    set: {cents: '${{ steps.paid.output }}'}
)";

const char kPause[] = R"(beamline: flow/v1
name: pause
steps:
  - {id: pause, wait: {for: 10m}}
  - {id: after, set: {x: 1}}
)";

absl::Status Signal(Bench& bench, const run::RunId& id, const std::string& payload,
                    const std::string& key) {
  absl::Status answer = absl::UnknownError("none yet");
  bench.engine->SignalRun(id, "uid:1", "paid", payload, key,
                          [&](const absl::Status& status) { answer = status; });
  bench.Settle();
  return answer;
}

}  // namespace

TEST_CASE("a run that only waits is not in memory, and a signal brings it back") {
  Bench bench;
  const run::RunId id = bench.Run(kPaid, R"({"order":7})");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  CHECK(bench.engine->activity().runs == 1);
  CHECK(bench.engine->runs_in_memory() == 0);
  CHECK(Signal(bench, id, R"({"order":6,"cents":1})", "s1").ok());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);  // another order's
  CHECK(Signal(bench, id, R"({"order":7,"cents":990})", "s2").ok());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "total") == R"({"cents":990})");
  CHECK(bench.engine->activity().runs == 0);
}

TEST_CASE("the same signal counts once, also across a crash") {
  Bench bench;
  const run::RunId id = bench.Run(kPaid);
  CHECK(Signal(bench, id, R"({"order":2})", "s1").ok());
  bench.Crash();
  CHECK(Signal(bench, id, R"({"order":2})", "s1").ok());
  int signals = 0;
  for (const run::Event& event : bench.Log(id)) {
    signals += std::holds_alternative<run::SignalReceived>(event.fact) ? 1 : 0;
  }
  CHECK(signals == 1);
}

TEST_CASE("a finished run takes no signal; one that never was is not found") {
  Bench bench;
  const run::RunId id = bench.Run(kPaid);
  CHECK(Signal(bench, id, R"({"order":1,"cents":5})", "s1").ok());
  CHECK(absl::IsFailedPrecondition(Signal(bench, id, "1", "s2")));
  CHECK(absl::IsNotFound(Signal(bench, run::RunId(), "1", "s3")));
}

TEST_CASE("a pause survives a restart, ends in time and never early") {
  Bench bench;
  const run::RunId id = bench.Run(kPause);
  CHECK(bench.engine->runs_in_memory() == 0);
  bench.Pass(absl::Minutes(4));
  bench.Crash();
  CHECK(bench.engine->runs_in_memory() == 0);  // not even read
  CHECK(bench.engine->activity().runs == 1);
  bench.Pass(absl::Minutes(6) - absl::Milliseconds(1));
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  bench.Pass(absl::Milliseconds(1));
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a clock that is set back does not end a pause, nor lose it") {
  Bench bench;
  const run::RunId id = bench.Run(kPause);
  bench.Pass(-absl::Hours(24));
  bench.Pass(absl::Minutes(11));
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  bench.Pass(absl::Hours(24));
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a run that waits can be cancelled") {
  Bench bench;
  const run::RunId id = bench.Run(kPause);
  absl::Status answer = absl::UnknownError("none yet");
  bench.engine->CancelRun(id, "uid:1", "enough", false,
                          [&](const absl::Status& status) { answer = status; });
  bench.Settle();
  CHECK(answer.ok());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kCancelled);
  bench.Pass(absl::Hours(1));  // its timer finds nothing
  CHECK(bench.engine->problems().empty());
}

TEST_CASE("a step of --break-at waits to be let go") {
  Bench bench;
  bench.break_at = {"after"};
  const run::RunId id = bench.Run(kPause);
  bench.Pass(absl::Minutes(10));
  CHECK(bench.History(id).back() == "StepHeld after");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  for (int time = 0; time < 2; ++time) {  // the first answer may be lost on its way
    bench.engine->Intervene(id, "uid:1", run::ReleaseStep{{"", "go-1", "h"}, "after"},
                            [](const absl::Status& s) { CHECK(s.ok()); });
    bench.Settle();
    CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  }
  absl::Status other;
  bench.engine->Intervene(id, "uid:1", run::ReleaseStep{{"", "go-2", "h"}, "after"},
                          [&other](const absl::Status& s) { other = s; });
  bench.Settle();
  CHECK(absl::IsFailedPrecondition(other));
}

}  // namespace beamline::engine
