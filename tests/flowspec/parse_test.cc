// What ParseFlow makes of a flow: defaults, edges, bodies.
#include "flowspec/parse.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>

#include "flowspec/findings_text.h"

namespace beamline::flowspec {
namespace {

std::shared_ptr<const Flow> Parse(const std::string& steps) {
  const std::string source = "beamline: flow/v1\nname: test\n" + steps;
  const ParseResult result = ParseFlow(source, {.compile_expressions = false});
  CAPTURE(FindingsText({"test", source, result.findings}));
  REQUIRE(result.flow != nullptr);
  return result.flow;
}

// "b:success~ a:done": the edges of a step; ~ marks those that nobody wrote.
std::string Edges(const Flow& flow, const std::string& id) {
  std::string text;
  for (const Step& step : flow.steps) {
    if (step.id != id) continue;
    for (const Need& need : step.needs) {
      if (!text.empty()) text += ' ';
      text += flow.steps[need.step].id + ":" + WhenName(need.when) + (need.implied ? "~" : "");
    }
  }
  return text;
}

const Step& StepOf(const Flow& flow, const std::string& id) {
  for (const Step& step : flow.steps) {
    if (step.id == id) return step;
  }
  FAIL("no step " << id);
  return flow.steps.at(0);
}

// The template with its value holes as <n> and its interpolated ones as {n}.
std::string Shown(const Template& value) {
  std::string text;
  for (const Piece& piece : value.pieces) {
    switch (piece.kind) {
      case Piece::Kind::kText:
        text += piece.text;
        break;
      case Piece::Kind::kValue:
        text += "<" + std::to_string(piece.expr) + ">";
        break;
      case Piece::Kind::kInterpolated:
        text += "{" + std::to_string(piece.expr) + "}";
        break;
    }
  }
  return text;
}

TEST_CASE("a list runs in order, a parallel at once, needs says otherwise") {
  const auto flow = Parse(R"(
steps:
  - {id: a, run: echo}
  - {id: b, run: echo}
  - {id: c, needs: [], run: echo}
  - {id: d, needs: [a, {step: b, when: done}], run: echo}
  - id: e
    parallel: [{id: e1, run: echo}, {id: e2, run: echo}]
  - id: f
    do: [{id: f1, run: echo}, {id: f2, run: echo}]
)");
  CHECK(Edges(*flow, "a") == "");
  CHECK(Edges(*flow, "b") == "a:success~");
  CHECK(Edges(*flow, "c") == "");
  CHECK(Edges(*flow, "d") == "a:success b:done");
  CHECK(Edges(*flow, "e") == "d:success~");
  CHECK(Edges(*flow, "e2") == "");
  CHECK(Edges(*flow, "f2") == "f1:success~");
  CHECK(StepOf(*flow, "f2").parent == flow->main[5]);
}

TEST_CASE("a reference is an edge of the ancestor beside the step that is read") {
  const auto flow = Parse(R"(
steps:
  - {id: a, run: echo}
  - {id: b, run: echo}
  - id: c
    do:
      - id: inner
        set: {x: '${{ steps.a.output }}', y: '${{ steps.b.output | default(1) }}'}
  - id: d
    needs: [{step: a, when: done}]
    set: {x: '${{ steps.a.status }}', y: '${{ steps.b.output }}'}
)");
  CHECK(Edges(*flow, "inner") == "");
  // b: every read has a default, so it may end any way; the order of the list gives way to that.
  CHECK(Edges(*flow, "c") == "b:done~ a:success~");
  CHECK(Edges(*flow, "d") == "a:done b:success~");
}

TEST_CASE("written needs make a read of a conditional step safe") {
  const auto flow = Parse(R"(
inputs: {lint: {type: boolean, default: true}}
steps:
  - {id: lint, if: inputs.lint, run: ./lint}
  - {id: report, needs: [lint], set: {n: '${{ steps.lint.output.n }}'}}
)");
  CHECK(Edges(*flow, "report") == "lint:success");
}

TEST_CASE("bodies are JSON with holes, defaults filled in") {
  const auto flow = Parse(R"(
inputs: {token: {type: string, sensitive: true}, who: {default: you}}
secrets: {cms: {env: CMS}}
env: {LANG: C, WHO: nobody}
steps:
  - id: script
    env: {WHO: '${{ inputs.who }}', TOKEN: '${{ inputs.token }}', N: 7, S: {secret: cms}}
    stdin: 'hi ${{ inputs.who }}'
    capture: lines
    run: cat
  - {id: argv, run: [echo, '${{ inputs.who }}', 3]}
  - {id: post, http: {method: POST, url: https://example.org, headers: {x: {secret: cms}}}}
  - {id: stop, fail: {message: 'no ${{ inputs.who }}'}}
)");
  CHECK(Shown(StepOf(*flow, "script").input) ==
        R"({"run":"cat","shell":"bash -euo pipefail","env":{"LANG":"C","WHO":<0>,)"
        R"("TOKEN":{"sensitive":"token"},"N":"7","S":{"secret":"cms"}},)"
        R"("stdin":"hi {1}","capture":"lines"})");
  CHECK(Shown(StepOf(*flow, "argv").input) ==
        R"({"run":["echo",<2>,3],"env":{"LANG":"C","WHO":"nobody"},"capture":"none"})");
  CHECK(Shown(StepOf(*flow, "post").input) ==
        R"({"method":"POST","url":"https://example.org","headers":{"x":{"secret":"cms"}},)"
        R"("expect":["2xx"]})");
  CHECK(Shown(StepOf(*flow, "stop").input) == R"({"message":"no {3}","code":"failed"})");
}

TEST_CASE("what may be done twice goes by the kind") {
  const auto flow = Parse(R"(
steps:
  - {id: r, run: echo}
  - {id: s, set: {}}
  - {id: get, http: {url: https://e.org}}
  - {id: put, http: {method: PUT, url: https://e.org}}
  - {id: post, http: {method: POST, url: https://e.org}}
  - {id: mine, effect: once, run: echo}
  - {id: ask, approve: {title: ok}}
)");
  std::string effects;
  for (const Step& step : flow->steps) effects += std::string(EffectName(step.effect)) + " ";
  CHECK(effects == "idempotent pure pure idempotent once once once ");
}

TEST_CASE("templates and defaults lie beneath what the step says") {
  const auto flow = Parse(R"(
defaults:
  step: {timeout: 1m, env: {A: default, B: default}}
  http: {method: HEAD, timeout: 5s}
templates:
  base: {retry: {max: 2, initial: 5s}, env: {B: base}}
  careful: {extends: base, retry: {max: 9}}
steps:
  - {id: a, extends: careful, env: {C: own}, run: echo}
  - {id: b, http: {url: https://e.org}}
  - {id: c, timeout: 3s, http: {url: https://e.org, method: GET}}
)");
  const Step& a = StepOf(*flow, "a");
  CHECK(a.retry.max == 9);
  CHECK(a.retry.initial == absl::Seconds(5));
  CHECK(a.timeout == absl::Minutes(1));
  CHECK(Shown(a.input).find(R"("env":{"C":"own","B":"base","A":"default"})") != std::string::npos);
  CHECK(StepOf(*flow, "b").timeout == absl::Seconds(5));
  CHECK(Shown(StepOf(*flow, "b").input).find(R"("method":"HEAD")") != std::string::npos);
  CHECK(StepOf(*flow, "c").timeout == absl::Seconds(3));
  CHECK(Shown(StepOf(*flow, "c").input).find(R"("method":"GET")") != std::string::npos);
}

TEST_CASE("foreach, outputs and artifacts") {
  const auto flow = Parse(R"(
steps:
  - id: a
    foreach: {items: [1, 2], as: row, key: row, tolerate: 5%, batch: 3}
    run: [echo, '${{ row }}', '${{ index }}']
    outputs: {n: {type: integer}}
    artifacts: {log: out.log, tests: {path: 'r-${{ row }}.xml', report: junit}}
)");
  const Step& step = flow->steps[0];
  REQUIRE(step.foreach.has_value());
  CHECK(step.foreach->as == "row");
  CHECK(Shown(step.foreach->items) == "[1,2]");
  CHECK(step.foreach->tolerate == 5);
  CHECK(step.foreach->tolerate_percent);
  CHECK(step.foreach->batch == 3);
  CHECK(step.outputs_schema ==
        R"({"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}})");
  REQUIRE(step.artifacts.size() == 2);
  CHECK(step.artifacts[1].report == "junit");
  CHECK(Shown(step.artifacts[1].path).rfind("\"r-{", 0) == 0);
}

TEST_CASE("hostile files are refused in bounded time") {
  const auto elapsed = [](const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::string steps = "beamline: flow/v1\nname: big\nsteps:\n";
  for (int i = 0; i < 15'000; ++i) {
    const std::string n = std::to_string(i);
    steps.append("- {id: s").append(n).append(", set: {x: '${{ steps.t").append(n);
    steps.append(".output }}'}}\n");
  }
  ParseResult result;
  CHECK(elapsed([&] { result = ParseFlow(steps, {.compile_expressions = false}); }) < 5);
  CHECK(result.findings.size() == 15'000);
}

// The figure that matters: checking a large flow must feel instant.
TEST_CASE("a flow of 1,000 steps and 500 expressions parses fast") {
  std::string source = "beamline: flow/v1\nname: big\nsteps:\n";
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "step_" + std::to_string(i);
    source += "  - id: " + id + "\n    timeout: 30s\n";
    if (i % 2 == 1) {
      source +=
          "    env: {VALUE: '${{ steps.step_" + std::to_string(i - 1) + ".output.value }}'}\n";
    }
    source += "    run: echo \"$VALUE\" > out.txt\n";
  }
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const ParseResult result = ParseFlow(source, {.compile_expressions = false});
    REQUIRE(result.flow != nullptr);
    best = std::min(
        best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                  .count());
  }
  MESSAGE("1,000 steps, 500 expressions, " << source.size() / 1024 << " KiB: " << best << " ms");
  CHECK(best < 400);  // 60 on an idle machine; sanitizers and neighbours take their share
}

}  // namespace
}  // namespace beamline::flowspec
