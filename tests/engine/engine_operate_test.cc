// What people do to runs: they come back from the store, go on, and leave no dead letter behind.
#include <doctest/doctest.h>

#include <algorithm>

#include "daemon/run/evolve.h"
#include "daemon/run/reuse.h"
#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

const char kShip[] = R"(beamline: flow/v1
name: ship
steps:
  - {id: fetch, run: 'true', outputs: {v: {type: number}}}
  - {id: build, run: 'true', env: {V: '${{ steps.fetch.output.v }}'}}
  - {id: pack, run: 'true'}
)";

const char kPark[] = R"(beamline: flow/v1
name: park
steps:
  - {id: pay, run: 'true', on_error: park}
  - {id: mail, run: 'true'}
)";

using Wish = run::Wish;

absl::Status Intervene(Bench& bench, const run::RunId& id, Wish wish) {
  absl::Status answer = absl::UnknownError("none yet");
  bench.engine->Intervene(id, "uid:1", std::move(wish),
                          [&](const absl::Status& status) { answer = status; });
  bench.Settle();
  return answer;
}

run::Intervention Because(const char* request) { return {"it is back", request, "h"}; }

std::vector<std::string> Letters(Bench& bench) {
  std::vector<std::string> letters;
  const auto rows = bench.disk.ListDeadLetters({});
  for (const ports::DeadLetterRow& row : *rows) {
    letters.push_back(row.letter.path + (row.letter.parked ? " parked" : " failed"));
  }
  return letters;
}

// A run of kShip whose second step has failed.
run::RunId FailedShip(Bench& bench) {
  const run::RunId id = bench.Run(kShip);
  bench.executor->Succeed("fetch", R"({"v":1})");
  bench.Settle();
  bench.executor->Fail("build", {"exit", "exit code 1", 1});
  bench.Settle();
  REQUIRE(bench.StatusOf(id) == ports::RunStatus::kFailed);
  return id;
}

int Count(const Bench& bench, const run::RunId& id, const char* fact) {
  const auto log = bench.Log(id);
  return static_cast<int>(std::count_if(log.begin(), log.end(), [&](const run::Event& event) {
    return std::string(run::FactName(event.fact)) == fact;
  }));
}

}  // namespace

TEST_CASE("a finished run comes back for a retry, with its dead letter gone") {
  Bench bench;
  const run::RunId id = FailedShip(bench);
  CHECK(Letters(bench) == std::vector<std::string>{"build failed"});
  CHECK(bench.engine->runs_in_memory() == 0);
  CHECK(Intervene(bench, id, run::RetryStep{Because("r1")}).ok());
  CHECK(Letters(bench).empty());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kRunning);
  CHECK(bench.executor->running() == std::vector<std::string>{"build"});
  CHECK(bench.executor->started.back().attempt == 2);
  CHECK(bench.executor->started.back().idempotency_key == id.ToString() + "/build");
  CHECK(bench.executor->started.back().input.find("\"V\"") != std::string::npos);
  bench.executor->Succeed("build");
  bench.Settle();
  bench.executor->Succeed("pack");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.engine->activity().runs == 0);
  CHECK(bench.executor->started.size() == 4);  // fetch was not carried out again
}

TEST_CASE("a request is carried out once, before and after a crash") {
  Bench bench;
  const run::RunId id = FailedShip(bench);
  CHECK(Intervene(bench, id, run::RetryStep{Because("r1")}).ok());
  CHECK(Intervene(bench, id, run::RetryStep{Because("r1")}).ok());
  bench.Crash();
  bench.Settle();
  CHECK(Intervene(bench, id, run::RetryStep{Because("r1")}).ok());
  CHECK(Count(bench, id, "Intervened") == 1);
  CHECK(absl::IsInvalidArgument(
      Intervene(bench, id, run::RetryStep{{"it is back", "r1", "another"}, "build"})));
}

TEST_CASE("what is refused leaves the run finished and out of memory") {
  Bench bench;
  const run::RunId id = FailedShip(bench);
  CHECK(absl::IsFailedPrecondition(Intervene(bench, id, run::RetryStep{Because("r1"), "fetch"})));
  CHECK(absl::IsNotFound(Intervene(bench, id, run::RetryStep{Because("r2"), "nothing"})));
  CHECK(absl::IsNotFound(Intervene(bench, run::RunId(), run::RetryStep{Because("r3")})));
  CHECK(bench.engine->runs_in_memory() == 0);
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
}

TEST_CASE("a letter that is dropped is gone, and the run stays as it is") {
  Bench bench;
  const run::RunId id = FailedShip(bench);
  CHECK(Intervene(bench, id, run::DropStep{Because("d1"), "build"}).ok());
  CHECK(Letters(bench).empty());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
  CHECK(bench.engine->runs_in_memory() == 0);
  CHECK(Intervene(bench, id, run::RetryStep{Because("r1")}).ok());  // it is only not listed
  CHECK(bench.executor->running() == std::vector<std::string>{"build"});
}

TEST_CASE("a parked step is taken as done") {
  Bench bench;
  const run::RunId id = bench.Run(kPark);
  bench.executor->Fail("pay", {"exit", "exit code 9", 9});
  bench.Settle();
  CHECK(Letters(bench) == std::vector<std::string>{"pay parked"});
  CHECK(Intervene(bench, id,
                  run::SkipStep{Because("s1"), "pay", run::Value::Json(R"({"by":"hand"})")})
            .ok());
  CHECK(Letters(bench).empty());
  bench.executor->Succeed("mail");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a run that was brought back from waiting is recovered after a crash") {
  Bench bench;
  const run::RunId id = bench.Run(kPark);
  bench.executor->Fail("pay", {"exit", "exit code 9", 9});
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  CHECK(Intervene(bench, id, run::RetryStep{Because("r1")}).ok());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kRunning);  // what the next start goes by
  bench.Crash();
  bench.Settle();
  CHECK(bench.executor->running() == std::vector<std::string>{"pay"});
  CHECK(bench.executor->started.back().attempt == 3);  // nobody knows how the second came out
}

TEST_CASE("a paused run holds no slot, leaves memory, and goes on where it was") {
  Bench bench(1);
  const run::RunId id = bench.Run(kShip);
  CHECK(Intervene(bench, id, run::PauseRun{Because("p1")}).ok());
  bench.executor->Succeed("fetch", R"({"v":1})");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kPaused);
  CHECK(bench.engine->runs_in_memory() == 0);
  const run::RunId other = bench.Run(kPark);
  CHECK(bench.executor->running() == std::vector<std::string>{"pay"});
  bench.executor->Succeed("pay");
  bench.Settle();
  bench.executor->Succeed("mail");
  bench.Settle();
  CHECK(bench.StatusOf(other) == ports::RunStatus::kSucceeded);
  bench.Crash();
  bench.Settle();
  CHECK(bench.executor->running().empty());
  CHECK(Intervene(bench, id, run::ResumePaused{Because("p2")}).ok());
  CHECK(bench.executor->running() == std::vector<std::string>{"build"});
}

TEST_CASE("a replay takes results over and carries nothing out twice") {
  Bench bench;
  const run::RunId id = FailedShip(bench);
  FlowCache::Loaded flow = bench.engine->flows().Load(kShip);
  run::RunState old(flow.flow->plan);
  for (const run::Event& event : bench.Log(id)) old = run::Evolve(std::move(old), event);
  auto results = run::ReuseResults(old, *flow.flow->plan, "build");
  REQUIRE(results.ok());
  CHECK(results->again == std::vector<std::string>{"build", "pack"});
  CHECK(absl::IsNotFound(run::ReuseResults(old, *flow.flow->plan, "lost").status()));

  StartRequest request{.flow = flow.flow, .inputs_json = "{}", .actor = "uid:1"};
  request.replay_of = run::ReplayOf{id, "build"};
  request.reused = std::move(results->reused);
  absl::StatusOr<Started> started = absl::UnknownError("none yet");
  bench.engine->StartRun(request, [&](absl::StatusOr<Started> answer) { started = answer; });
  bench.Settle();
  REQUIRE(started.ok());
  CHECK(bench.executor->running() == std::vector<std::string>{"build"});
  CHECK(bench.executor->started.back().input.find("1") != std::string::npos);  // of fetch's output
  bench.Crash();
  bench.Settle();
  bench.executor->Succeed("build");
  bench.Settle();
  bench.executor->Succeed("pack");
  bench.Settle();
  CHECK(bench.StatusOf(started->run) == ports::RunStatus::kSucceeded);
  CHECK(Count(bench, started->run, "StepReused") == 1);
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
}

}  // namespace beamline::engine
