// A daemon that dies and starts again.
#include <doctest/doctest.h>

#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

using Lines = std::vector<std::string>;

std::string OneStep(const std::string& more) {
  return "beamline: flow/v1\nname: one\nsteps:\n  - id: a\n    run: 'true'\n    " + more + "\n";
}

}  // namespace

TEST_CASE("an interrupted attempt runs again under the same key") {
  Bench bench;
  const run::RunId id = bench.Run(OneStep("effect: idempotent"));
  const std::string key = bench.executor->started[0].idempotency_key;
  CHECK(key == id.ToString() + "/a");
  bench.Crash();
  bench.Settle();
  REQUIRE(bench.executor->started.size() == 1);
  CHECK(bench.executor->started[0].attempt == 2);
  CHECK(bench.executor->started[0].idempotency_key == key);
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
}

TEST_CASE("an effect that must happen once waits for a person instead") {
  Bench bench;
  const run::RunId id = bench.Run(OneStep("effect: once"));
  bench.Crash();
  bench.Settle();
  CHECK(bench.executor->started.empty());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
}

TEST_CASE("a step that takes the daemon down with it is parked in the end") {
  Bench bench;
  const run::RunId id = bench.Run(OneStep("name: bomb"));
  for (int i = 0; i < 12; ++i) {
    bench.Crash();
    bench.Settle();
  }
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  CHECK(bench.History(id).back() == "StepParked a: interrupted 10 times");
}

TEST_CASE("what was not on disk never happened; what was goes on") {
  Bench bench;
  bench.Begin(OneStep("name: lost"));
  bench.engine->Step(absl::ZeroDuration());  // decided only
  bench.Crash();
  bench.Settle();
  CHECK(bench.executor->started.empty());
  CHECK(bench.starts.empty());
}

TEST_CASE("a retry that was waited for is waited for again, until its time and no longer") {
  Bench bench;
  bench.Run(OneStep("retry: {max: 2, initial: 30s, jitter: none}"));
  bench.executor->Fail("a", {"exit", "no"});
  bench.Settle();
  bench.Crash();
  bench.Pass(absl::Seconds(29));
  CHECK(bench.executor->started.empty());
  bench.Pass(absl::Seconds(1));
  CHECK(bench.executor->running() == Lines{"a"});
}

TEST_CASE("items of a foreach are read again from the log") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: fan
inputs: {list: {type: array}}
steps:
  - id: each
    foreach: {items: inputs.list, key: item.id, max_parallel: 1}
    env: {N: '${{ item.n }}'}
    run: 'true'
)",
                                  R"({"list": [{"id": "x", "n": 1}, {"id": "y", "n": 2}]})");
  bench.executor->Succeed("each[0]");
  bench.Settle();
  bench.Crash();
  bench.Settle();
  REQUIRE(bench.executor->running() == Lines{"each[1]"});
  CHECK(bench.executor->started[0].idempotency_key == id.ToString() + "/each/y");
  CHECK(bench.executor->started[0].input.find("\"N\":2") != std::string::npos);
}

}  // namespace beamline::engine
