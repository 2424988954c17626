// Expressions, outputs, items, secrets: what an attempt is given and what a step hands on.
#include <doctest/doctest.h>

#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

using Lines = std::vector<std::string>;

std::string Last(const Bench& bench, const run::RunId& id) { return bench.History(id).back(); }

}  // namespace

TEST_CASE("plain paths and literals need no evaluator; anything else goes to it in one trip") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: values
inputs: {who: {type: string, default: world}}
vars: {greeting: hello}
outputs: {said: '${{ steps.third.output.all }}'}
steps:
  - {id: first, set: {n: 1, big: 9007199254740993, text: 'hi ${{ inputs.who }}'}}
  - {id: second, set: {n: '${{ steps.first.output.n }}', big: '${{ steps.first.output.big }}'}}
  - {id: third, set: {all: '${{ [vars.greeting, inputs.who, steps.second.output.n + 1] }}', x: '${{ 1 + 1 }}'}}
)");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "first") == R"({"n":1,"big":9007199254740993,"text":"hi world"})");
  CHECK(bench.Output(id, "second") == R"({"n":1,"big":9007199254740993})");
  CHECK(bench.Output(id, "third") == R"({"all":["hello","world",2],"x":2})");
  CHECK(bench.evaluator.evaluations == 1);
}

TEST_CASE("an expression that fails fails its step with its place, without an attempt") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: broken
inputs: {who: {type: string, default: world}}
steps:
  - {id: a, set: {n: '${{ inputs.who + 1 }}'}}
)");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
  CHECK(Last(bench, id).find(
            "line 6, `inputs.who + 1`: string (\"world\") and number (1) cannot be added") !=
        std::string::npos);
}

TEST_CASE("a foreach hands on its items' outputs in order; items[] tells each one's fate") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: fan
steps:
  - id: each
    foreach: {items: '["p", "q", "r"]', as: letter, tolerate: 1}
    env: {L: '${{ letter }}', I: '${{ index }}'}
    run: 'true'
  - id: sum
    set:
      all: '${{ steps.each.output }}'
      fates: '${{ [steps.each.items[] | {key, item, status}] }}'
)");
  REQUIRE(bench.executor->running() == Lines{"each[0]", "each[1]", "each[2]"});
  CHECK(bench.executor->started[1].input.find(R"("L":"q","I":1)") != std::string::npos);
  bench.executor->Succeed("each[2]", "30");
  bench.executor->Fail("each[1]", {"exit", "no"});
  bench.executor->Succeed("each[0]", "10");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "each") == "[10,null,30]");
  CHECK(
      bench.Output(id, "sum") ==
      R"({"all":[10,null,30],"fates":[{"key":"0","item":"p","status":"succeeded"},)"
      R"({"key":"1","item":"q","status":"failed"},{"key":"2","item":"r","status":"succeeded"}]})");
}

TEST_CASE("two items with one key are refused before any begins") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: fan
steps:
  - {id: each, foreach: {items: '[1, 2, 1]', key: item}, run: 'true'}
)");
  CHECK(bench.executor->started.empty());
  CHECK(Last(bench, id).find("two items have the key `1`") != std::string::npos);
}

TEST_CASE("an output is reshaped, then held against its schema") {
  const std::string yaml = R"(
beamline: flow/v1
name: shape
steps:
  - id: a
    run: 'true'
    output: '${{ {coverage: (output.text | tonumber)} }}'
    outputs: {coverage: {type: number, minimum: 50}}
)";
  Bench bench;
  run::RunId id = bench.Run(yaml);
  bench.executor->Succeed("a", R"({"text": "81"})");
  bench.Settle();
  CHECK(bench.Output(id, "a") == R"({"coverage":81})");
  id = bench.Run(yaml);
  bench.executor->Succeed("a", R"({"text": "7"})");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
  CHECK(Last(bench, id).find("schema") != std::string::npos);
}

TEST_CASE("large values lie in the blob store and are read from there") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: large
steps:
  - {id: a, run: 'true'}
  - {id: b, set: {size: '${{ steps.a.output | length }}', first: '${{ steps.a.output[0] }}'}}
)");
  std::string list = "[\"x\"";
  for (int i = 0; i < 50'000; ++i) list += ",1";
  bench.executor->Succeed("a", list + "]");
  bench.Settle();
  const std::vector<run::Event> log = bench.Log(id);
  const auto& finished = std::get<run::AttemptFinished>(log[2].fact);
  CHECK(finished.output.is_blob());
  CHECK(finished.output.bytes() == list.size() + 1);
  CHECK(bench.Output(id, "b") == R"({"size":50001,"first":"x"})");
}

TEST_CASE("a sensitive input reaches the attempt, never the log, and is forgotten at the end") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: secret
inputs: {token: {type: string, sensitive: true}}
steps:
  - {id: a, env: {TOKEN: '${{ inputs.token }}'}, run: 'true'}
)",
                                  R"({"token": "hunter2-hunter2"})");
  REQUIRE(bench.executor->started.size() == 1);
  CHECK(bench.executor->started[0].sensitive == ports::Secrets{{"token", "\"hunter2-hunter2\""}});
  CHECK(bench.executor->started[0].input.find(R"("TOKEN":{"sensitive":"token"})") !=
        std::string::npos);
  for (const std::string& line : bench.History(id)) {
    CHECK(line.find("hunter2") == std::string::npos);
  }
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(bench.vault.secrets.empty());
}

TEST_CASE("an output that looks like a reference to a secret does not become one") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: thief
inputs: {token: {type: string, sensitive: true}}
steps:
  - {id: a, run: 'true'}
  - {id: b, env: {X: '${{ steps.a.output }}'}, run: 'true'}
)",
                                  R"({"token": "hunter2-hunter2"})");
  bench.executor->Succeed("a", R"({"sensitive": "token"})");
  bench.Settle();
  CHECK(bench.executor->started.size() == 1);
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
}

TEST_CASE("a parallel hands on a map, a do its last child's output or what `output` says") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: containers
steps:
  - id: both
    parallel:
      - {id: l, set: {n: 1}}
      - {id: r, set: {n: 2}}
  - id: group
    do:
      - {id: one, set: {n: '${{ steps.both.output.l.n }}'}}
      - {id: two, set: {n: 3}}
    output: '${{ {sum: (steps.one.output.n + steps.two.output.n)} }}'
)");
  CHECK(bench.Output(id, "both") == R"({"l":{"n":1},"r":{"n":2}})");
  CHECK(bench.Output(id, "group") == R"({"sum":4})");
}

TEST_CASE("what is held and spent of a budget survives a crash, and bounds what is asked") {
  Bench bench;
  const run::RunId id = bench.Run(R"(
beamline: flow/v1
name: poems
budget: {usd: 2.5}
steps:
  - id: poem
    foreach: {items: [1, 2, 3], tolerate: 3}
    llm: {model: m/x, prompt: 'a poem on ${{ item }}'}
)");
  // The meter says a dollar a call: two fit, and the third is never asked.
  CHECK(bench.executor->running() == Lines{"poem[0]", "poem[1]"});
  CHECK(bench.executor->started[0].input.find(R"("max_tokens":4096)") != std::string::npos);
  run::ReportAttempt cheap;
  cheap.usage = {.requests = 1, .output_tokens = 10, .nano_usd = 500'000'000};
  bench.executor->Finish("poem[0]", cheap);
  bench.Settle();
  bench.Crash();
  bench.Settle();
  // The other one was interrupted: its dollar counts as spent, and one more fits.
  CHECK(bench.executor->running() == Lines{"poem[1]"});
  bench.executor->Finish("poem[1]", cheap);
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "poem") == "[null,null,null]");
}

}  // namespace beamline::engine
