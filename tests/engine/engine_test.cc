// The loop: what goes to disk before what goes out, slots, timers, stops.
#include <doctest/doctest.h>

#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

constexpr char kTwoSteps[] = R"(
beamline: flow/v1
name: two
steps:
  - {id: a, run: 'true'}
  - {id: b, run: 'true'}
)";

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a run goes from its first event to its last") {
  Bench bench;
  const run::RunId id = bench.Run(kTwoSteps);
  REQUIRE(bench.executor->running() == Lines{"a"});
  bench.executor->Succeed("a", "1");
  bench.Settle();
  bench.executor->Succeed("b");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  const Lines history = bench.History(id);
  REQUIRE(history.size() == 6);
  CHECK(history[0] == "RunStarted two {}");
  CHECK(history[2] == "AttemptFinished a#1 succeeded, step succeeded 1");
  CHECK(history[5] == "RunFinished succeeded");
  CHECK(bench.engine->activity().runs == 0);
}

TEST_CASE("nothing is answered and nothing is started before it is on disk") {
  Bench bench;
  bench.Begin(kTwoSteps);
  bench.engine->Step(absl::ZeroDuration());  // decided, handed to the writer
  bench.engine->Step(absl::ZeroDuration());
  CHECK(bench.starts.empty());
  bench.engine->StepWriter();
  bench.engine->Step(absl::ZeroDuration());
  CHECK(bench.starts.size() == 1);
  CHECK(bench.executor->started.empty());  // the attempt is decided, not yet on disk
  bench.Settle();
  CHECK(bench.executor->started.size() == 1);
}

TEST_CASE("a disk that fails stops everything: no answer, no attempt, one call for the end") {
  Bench bench;
  bench.disk.failure = absl::ResourceExhaustedError("disk full");
  bench.Begin(kTwoSteps);
  bench.Settle();
  bench.Begin(kTwoSteps);
  bench.Settle();
  CHECK(bench.starts.empty());
  CHECK(bench.executor->started.empty());
  REQUIRE(bench.fatal.size() == 1);
  CHECK(bench.fatal[0].message() == "disk full");
}

TEST_CASE("no more attempts run at once than there are slots, in the order they became ready") {
  Bench bench(2);
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: wide
steps:
  - {id: a, needs: [], run: 'true'}
  - {id: b, needs: [], run: 'true', retry: {max: 2, initial: 1s, jitter: none}}
  - {id: c, needs: [], run: 'true'}
  - {id: d, needs: [], run: 'true', if: 'false'}
)");
  CHECK(bench.executor->running() == Lines{"a", "b"});
  bench.executor->Fail("b", {"exit", "no"});
  bench.Settle();
  CHECK(bench.executor->running() == Lines{"a", "c"});  // a retry waits without a slot
  bench.Pass(absl::Seconds(1));
  CHECK(bench.executor->running() == Lines{"a", "c"});
  bench.executor->Succeed("c");
  bench.Settle();
  CHECK(bench.executor->running() == Lines{"a", "b"});
  bench.executor->Succeed("a");
  bench.executor->Succeed("b");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  // The slots came back: another run gets both.
  bench.Run(kTwoSteps);
  CHECK(bench.executor->running() == Lines{"a"});
}

TEST_CASE("a retry does not start a moment early") {
  Bench bench;
  bench.Run(R"(
beamline: flow/v1
name: retry
steps: [{id: a, run: 'true', retry: {max: 2, initial: 10s, jitter: none}}]
)");
  bench.executor->Fail("a", {"exit", "no"});
  bench.Settle();
  bench.Pass(absl::Seconds(10) - absl::Nanoseconds(1));
  CHECK(bench.executor->running().empty());
  bench.Pass(absl::Nanoseconds(1));
  CHECK(bench.executor->running() == Lines{"a"});
  CHECK(bench.executor->started[0].idempotency_key == bench.executor->started[1].idempotency_key);
  CHECK(bench.executor->started[0].input == bench.executor->started[1].input);
}

TEST_CASE("a cancel reaches the executor, and the run ends with what the executor says") {
  Bench bench;
  const run::RunId id = bench.Run(kTwoSteps);
  absl::Status answer = absl::UnknownError("none yet");
  bench.engine->CancelRun(id, "uid:1", "enough", false, [&](const absl::Status& s) { answer = s; });
  bench.Settle();
  CHECK(answer.ok());
  CHECK(bench.executor->stops == Lines{"a#1 cancel"});
  run::ReportAttempt stopped;
  stopped.outcome = run::Outcome::kStopped;
  bench.executor->Finish("a", stopped);
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kCancelled);
  bench.engine->CancelRun(id, "uid:1", "again", false, [&](const absl::Status& s) { answer = s; });
  bench.Settle();
  CHECK(absl::IsFailedPrecondition(answer));
}

TEST_CASE("the same request starts one run; another one under its id is refused") {
  Bench bench;
  bench.Begin(kTwoSteps, "{}", "r1", "hash");
  bench.Begin(kTwoSteps, "{}", "r1", "hash");  // while the first is not on disk yet
  bench.Settle();
  bench.Begin(kTwoSteps, "{}", "r1", "hash");  // afterwards
  bench.Begin(kTwoSteps, "{}", "r1", "other");
  bench.Settle();
  REQUIRE(bench.starts.size() == 4);
  REQUIRE(bench.starts[0].ok());
  CHECK_FALSE(bench.starts[0]->existing);
  CHECK(bench.starts[1]->run == bench.starts[0]->run);
  CHECK(bench.starts[1]->existing);
  CHECK(bench.starts[2]->run == bench.starts[0]->run);
  CHECK(absl::IsAlreadyExists(bench.starts[3].status()));
  CHECK(bench.executor->started.size() == 1);
}

TEST_CASE("while it drains the engine takes no runs and starts no attempts") {
  Bench bench;
  const run::RunId id = bench.Run(kTwoSteps);
  bench.engine->Drain(absl::ZeroDuration());
  bench.Settle();
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(bench.executor->running().empty());  // b waits for the next start
  bench.Begin(kTwoSteps);
  bench.Settle();
  CHECK(absl::IsUnavailable(bench.starts.back().status()));
  bench.Crash();
  bench.Settle();
  CHECK(bench.executor->running() == Lines{"b"});
  CHECK(bench.History(id)[2] == "AttemptFinished a#1 succeeded, step succeeded null");
}

TEST_CASE("watchers are told what is on disk, and no more once they have left") {
  Bench bench;
  const run::RunId id = bench.Run(kTwoSteps);
  std::vector<uint64_t> told;
  auto handle = bench.engine->hub().Subscribe(
      id, [&](uint64_t seq, ports::RunStatus) { told.push_back(seq); });
  bench.executor->Succeed("a");
  bench.Settle();
  REQUIRE_FALSE(told.empty());
  CHECK(told.back() == bench.Log(id).size());
  handle.reset();
  const size_t calls = told.size();
  bench.executor->Succeed("b");
  bench.Settle();
  CHECK(told.size() == calls);
}

}  // namespace beamline::engine
