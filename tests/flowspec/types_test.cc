// What is known of values before a run: reads that are right are left alone, whatever their way;
// flows that use each other; and limits.
#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "flowspec/child_flows.h"
#include "flowspec/findings_text.h"
#include "flowspec/flow_shapes.h"
#include "flowspec/outside.h"
#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

std::string Told(const std::string& source, const ParseOptions& options = {}) {
  const std::string flow = "beamline: flow/v1\nname: test\n" + source;
  return FindingsText({"test", flow, ParseFlow(flow, options).findings});
}

// One step `use` that reads `expression`, after steps of every kind.
std::string Reading(const std::string& expression) {
  return Told(R"(
inputs:
  rows: {type: array, items: {type: object, required: [id], properties: {id: {type: integer}}}}
  any: {default: 1}
vars: {facts: {a: {b: 1}}, copy: '${{ inputs.rows }}'}
steps:
  - {id: text, run: ./a, capture: text}
  - {id: lines, run: ./a, capture: lines}
  - {id: json, run: ./a, capture: json}
  - {id: plain, run: ./a}
  - {id: http, http: {url: https://example.org}}
  - {id: llm, llm: {route: r, prompt: p}}
  - {id: facts, set: {title: Plan, pages: [{n: 1}, {n: 2, note: last}], of: '${{ vars.facts }}'}}
  - {id: each, foreach: {items: inputs.rows, as: row}, set: {id: '${{ row.id }}'}}
  - {id: batches, foreach: {items: inputs.rows, batch: 2}, set: {id: '${{ item[0].id }}'}}
  - {id: grid, matrix: {os: [a, b], include: [{os: c, fast: true}]}, set: {v: '${{ matrix.fast }}'}}
  - id: work
    do:
      - {id: inner, set: {n: 1}}
    output: '${{ steps.inner.output }}'
  - id: both
    parallel: [{id: left, set: {n: 1}}, {id: right, run: ./a, capture: json}]
  - {id: signalled, wait: {signal: {name: go, schema: {type: object, properties: {by: {}}}}}}
  - {id: detached, flow: {uses: ./child.flow.yaml, mode: detach}}
  - {id: use, set: {v: '${{ )" +
              expression + R"( }}'}}
)");
}

TEST_CASE("reads that can come to something are left alone") {
  for (const char* expression : {"steps.text.output",
                                 "steps.text.output | fromjson | .a",
                                 "steps.lines.output[0]",
                                 "steps.lines.output[]? // null",
                                 "steps.json.output.a.b[3].c",
                                 "steps.plain.output.a",
                                 "steps.http.output.json.any.thing",
                                 "steps.http.output.headers[\"content-type\"]",
                                 "steps.http.output.body",
                                 "steps.llm.output",
                                 "steps.facts.output.pages[0].note",
                                 "steps.facts.output.of.a.b",
                                 "steps.each.output[0].id",
                                 "steps.each.items[0].output.id",
                                 "steps.each.items[0].item.id",
                                 "steps.batches.output[0].id",
                                 "steps.grid.output[2].v",
                                 "steps.work.output.n",
                                 "steps.both.output.left.n",
                                 "steps.both.output.right.x",
                                 "steps.signalled.output.by",
                                 "steps.detached.output.run",
                                 "steps.plain.status",
                                 "steps.plain.error.kind",
                                 "vars.copy[0].id",
                                 "vars.facts.a.b",
                                 "inputs.any.x.y",
                                 "run.labels.team",
                                 "steps.facts.output | keys"}) {
    CAPTURE(expression);
    CHECK(Reading(expression) == "");
  }
}

TEST_CASE("reads that never come to anything are told, with what was meant") {
  const std::pair<const char*, const char*> reads[] = {
      {"steps.facts.output.pages[0].m", "did you mean `n`?"},
      {"steps.facts.output.of.a.c", "`steps.facts.output.of.a` has no `c`"},
      {"steps.each.output.id", "take one of it, `steps.each.output[0]`"},
      {"steps.each.items[0].ouput", "did you mean `output`?"},
      {"steps.grid.output[0].w", "has no `w`"},
      {"steps.work.output.m", "`steps.work.output` has no `m`"},
      {"steps.both.output.lfet", "did you mean `left`?"},
      {"steps.detached.output.result", "it has run"},
      {"steps.signalled.output.bye", "no schema says"},
      {"steps.plain.error.code", "it has exit_code, kind, message"},
      {"vars.copy[0].name", "no schema says that `vars.copy[0]` has `name`"},
      {"vars.facts.a.b.c", "`vars.facts.a.b` is a number, which has no fields"},
      {"inputs.rows.id", "`inputs.rows` is a list, which has no fields"},
      {"[steps.facts.output.titel, 1] | length", "did you mean `title`?"}};
  for (const auto& read : reads) {  // clang 14 captures no structured binding
    CAPTURE(read.first);
    CHECK(Reading(read.first).find(read.second) != std::string::npos);
  }
}

TEST_CASE("what `output:` makes of it is what others read") {
  const std::string flow = R"(
steps:
  - {id: ask, http: {url: https://example.org}, output: {code: '${{ output.status }}', )";
  const auto use = [&](const std::string& more, const std::string& read) {
    return Told(flow + more + "}}\n  - {id: use, set: {v: '${{ steps.ask.output." + read +
                " }}'}}\n");
  };
  CHECK(use("x: 1", "code") == "");
  CHECK(use("x: 1", "status").find("has no `status`") != std::string::npos);
  CHECK(use("y: '${{ output.stauts }}'", "code").find("did you mean `status`?") !=
        std::string::npos);
}

TEST_CASE("flows that lie beside one are read with it") {
  std::map<std::string, std::string> files{{"child.flow.yaml", R"(beamline: flow/v1
name: child
inputs: {n: {type: integer}, m: {default: 1}}
outputs: {sum: '${{ inputs.n }}'}
steps: [{id: a, run: ./a}]
)"},
                                           {"loop.flow.yaml", R"(beamline: flow/v1
name: loop
steps: [{id: a, flow: {uses: ./loop.flow.yaml}}]
)"}};
  const auto told = [&](const std::string& steps) {
    FlowFiles beside("main.flow.yaml", [&](const std::string& path) -> absl::StatusOr<std::string> {
      if (files.count(path) > 0) return files[path];
      return absl::NotFoundError("there is no such file");
    });
    return Told(steps, {.children = beside.Children()});
  };
  const std::string child = "steps:\n  - {id: c, flow: {uses: ./child.flow.yaml, inputs: {";
  const std::string use = "}}}\n  - {id: use, set: {v: '${{ steps.c.output.";
  CHECK(told(child + "n: 1" + use + "sum }}'}}\n") == "");
  CHECK(told(child + "n: '${{ 1 }}'" + use + "sum }}'}}\n") == "");
  CHECK(told(child + "n: 1" + use + "smu }}'}}\n").find("did you mean `sum`?") !=
        std::string::npos);
  CHECK(told(child + "m: 1" + use + "sum }}'}}\n").find("needs the input `n`") !=
        std::string::npos);
  CHECK(told(child + "n: x" + use + "sum }}'}}\n").find("wants integer") != std::string::npos);
  CHECK(told("steps: [{id: a, flow: {uses: ./main.flow.yaml}}]\n").find("note[BL0602]") !=
        std::string::npos);
  CHECK(told("steps: [{id: a, flow: {uses: ./gone.flow.yaml}}]\n").find("there is no such file") !=
        std::string::npos);
  CHECK(told("steps: [{id: a, flow: {uses: ./loop.flow.yaml}}]\n") == "");  // which says so itself
}

TEST_CASE("what a flow names outside of itself, each once") {
  const ParseResult result = ParseFlow(R"(beamline: flow/v1
name: test
secrets: {used: {env: A}, unused: {env: B}}
steps:
  - {id: a, llm: {route: writer, prompt: p}}
  - {id: b, llm: {route: writer, prompt: p}}
  - {id: c, llm: {model: 'acme/${{ 1 }}', prompt: p}}
  - {id: d, worker: {queue: q, task: t}}
  - {id: e, flow: {uses: ./f.flow.yaml}}
  - {id: f, env: {S: {secret: used}}, run: ./a}
)");
  REQUIRE(result.flow != nullptr);
  std::string names;
  for (const Outside& outside : OutsideOf(*result.flow)) {
    absl::StrAppend(&names, outside.name, ":", outside.span.line, " ");
  }
  CHECK(names == "writer:5 q:8 used:10 ");
  CHECK(Unasked(*result.flow).size() == 2);  // secrets are the daemon's
}

TEST_CASE("a chain of reads, a wide schema and many bad reads take no long time") {
  std::string chain = "steps:\n  - {id: s0, set: {v: 1}}\n";
  for (int i = 1; i < 5000; ++i) {
    absl::StrAppend(&chain, "  - {id: s", i, ", set: {v: '${{ steps.s", i - 1, ".output.v }}'}}\n");
  }
  std::string backwards = "outputs: {last: '${{ steps.s4000.output.v.w }}'}\nsteps:\n";
  for (int i = 4000; i > 0; --i) {
    absl::StrAppend(&backwards, "  - {id: s", i, ", needs: [], set: {v: '${{ steps.s", i - 1,
                    ".output.v }}'}}\n");
  }
  backwards += "  - {id: s0, needs: [], set: {v: 1}}\n";
  std::string wide = "steps:\n  - {id: a, set: {";
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&wide, i > 0 ? ", " : "", "k", i, ": 1");
  wide += "}}\n";
  for (int i = 0; i < 3000; ++i) {
    absl::StrAppend(&wide, "  - {id: r", i, ", needs: [], set: {v: '${{ steps.a.output.x", i,
                    " }}'}}\n");
  }
  for (const std::string* flow : {&chain, &backwards, &wide}) {
    const auto begin = std::chrono::steady_clock::now();
    Told(*flow, {.compile_expressions = false});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    CHECK(seconds.count() < 5);
  }
}

}  // namespace
}  // namespace beamline::flowspec
