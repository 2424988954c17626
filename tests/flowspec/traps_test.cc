// Mistakes that other systems let through, each named after what must not happen.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "flowspec/findings_text.h"
#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

ParseResult ParseSteps(std::string_view rest) {
  return ParseFlow("beamline: flow/v1\nname: test\n" + std::string(rest));
}

// The codes of the findings, in order; empty if nothing is wrong.
std::string Codes(const ParseResult& result) {
  std::string codes;
  for (const Finding& finding : result.findings) {
    codes += (codes.empty() ? "" : " ") + finding.code;
  }
  return codes;
}

TEST_CASE("an expression without quotes is not read as a YAML map") {
  const ParseResult result = ParseSteps(R"(
inputs: {who: {type: string}}
steps:
  - id: greet
    env:
      WHO: ${{ inputs.who }}
    run: echo "$WHO"
)");
  CHECK(Codes(result) == "");
  REQUIRE(result.flow != nullptr);
  CHECK(result.flow->expressions.at(0).source == "inputs.who");
}

TEST_CASE("a condition does not get a hidden success() in front") {
  const ParseResult result = ParseSteps(R"(
inputs: {page: {type: boolean}}
steps:
  - {id: deploy, run: ./deploy}
  - {id: page, needs: [{step: deploy, when: failure}], if: inputs.page, run: ./page}
)");
  CHECK(Codes(result) == "");
  REQUIRE(result.flow != nullptr);
  const Step& page = result.flow->steps.at(1);
  REQUIRE(page.needs.size() == 1);
  CHECK(page.needs[0].when == When::kFailure);
  CHECK(result.flow->expressions.at(page.condition).source == "inputs.page");
}

TEST_CASE("a skipped step does not hand on an empty output") {
  CHECK(Codes(ParseSteps(R"(
inputs: {lint: {type: boolean}}
steps:
  - {id: lint, if: inputs.lint, run: ./lint}
  - {id: report, needs: [], set: {n: '${{ steps.lint.output.n }}'}}
)")) == "BL0207");
}

TEST_CASE("a failed step does not hand on an empty output") {
  for (const char* when : {"failure", "done"}) {
    CAPTURE(when);
    CHECK(Codes(ParseSteps(R"(
steps:
  - {id: build, run: ./build}
  - id: report
    needs: [{step: build, when: )" +
                           std::string(when) + R"(}]
    set: {n: '${{ steps.build.output.n }}'}
)")) == "BL0207");
  }
}

TEST_CASE("a tolerated failure does not hand on an empty output") {
  CHECK(Codes(ParseSteps(R"(
steps:
  - {id: build, on_error: continue, run: ./build}
  - {id: report, needs: [build], set: {n: '${{ steps.build.output.n }}'}}
)")) == "BL0207");
}

TEST_CASE("what runs after a cancel does not trust what may never have run") {
  CHECK(Codes(ParseSteps(R"(
steps:
  - {id: build, run: ./build}
finally:
  - {id: tell, run: [./tell, '${{ steps.build.output.version }}']}
)")) == "BL0207");
}

TEST_CASE("the last leg of a matrix does not pass for its output") {
  const std::string matrix = R"(
steps:
  - {id: test, matrix: {cc: [gcc, clang]}, run: ./test, outputs: {version: {type: string}}}
)";
  CHECK(Codes(ParseSteps(matrix + "  - {id: a, set: {v: '${{ steps.test.output.version }}'}}\n")) ==
        "BL0218");
  CHECK(Codes(ParseSteps(matrix +
                         "  - {id: a, set: {v: '${{ steps.test.output[0].version }}'}}\n")) == "");
}

TEST_CASE("a value does not become part of a shell script") {
  CHECK(Codes(ParseSteps(R"(
inputs: {title: {type: string}}
steps:
  - {id: greet, run: 'echo "${{ inputs.title }}"'}
)")) == "BL0110");
}

TEST_CASE("a misspelt reference is not null, and not text") {
  const std::string flow = R"(
inputs: {who: {type: string}}
steps:
  - {id: ask, http: {url: https://example.org}}
  - {id: use, set: {v: '${{ )";
  CHECK(Codes(ParseSteps(flow + "steps.aks.output }}'}}\n")) == "BL0203");
  CHECK(Codes(ParseSteps(flow + "inputs.woh }}'}}\n")) == "BL0204");
  CHECK(Codes(ParseSteps(flow + "steps.ask.outputs }}'}}\n")) == "BL0215");
  CHECK(Codes(ParseSteps(flow + "steps.ask.output.statsu }}'}}\n")) == "BL0217");
  CHECK(Codes(ParseSteps(flow + "steps.ask.output.statsu // 0 }}'}}\n")) == "BL0217");
}

TEST_CASE("text that is not empty does not count as true") {
  CHECK(Codes(ParseSteps(R"(
inputs: {deploy: {type: string, default: 'no'}}
steps:
  - {id: ship, if: inputs.deploy, run: ./ship}
)")) == "BL0220");
}

TEST_CASE("text does not pass for a list of items") {
  CHECK(Codes(ParseSteps(R"(
inputs: {hosts: {type: string, default: 'a b'}}
steps:
  - {id: ship, foreach: {items: inputs.hosts}, run: ./ship}
)")) == "BL0221");
}

TEST_CASE("a guard does not silently switch off all that follows") {
  const std::string guard = R"(
inputs: {ok: {type: boolean}}
steps:
  - {id: guard, if: inputs.ok | not, fail: {message: not ok}}
)";
  CHECK(Codes(ParseSteps(guard + "  - {id: next, run: ./next}\n")) == "BL0601");
  CHECK(Codes(ParseSteps(guard + R"(
  - id: next
    needs: [{step: guard, when: done}]
    if: steps.guard.status == "skipped"
    run: ./next
)")) == "");
}

TEST_CASE("a step that waits for opposites is not skipped without a word") {
  CHECK(Codes(ParseSteps(R"(
steps:
  - {id: a, run: ./a}
  - {id: b, needs: [{step: a, when: success}, {step: a, when: failure}], run: ./b}
)")) == "BL0222");
}

TEST_CASE("the flow that is used does not change under those who use it") {
  CHECK(Codes(ParseSteps("steps: [{id: a, flow: {uses: child}}]\n")) == "BL0407");
}

TEST_CASE("an approval does not send the work back to a step that is not there") {
  CHECK(Codes(ParseSteps(R"(
steps:
  - {id: draft, run: ./draft}
  - {id: review, approve: {title: "Good?", on_changes: {rerun: drfat}}}
)")) == "BL0201");
}

TEST_CASE("the first round of a loop does not trip over the round before") {
  CHECK(Codes(ParseSteps(R"(
steps:
  - id: draft
    loop: {until: steps.ask.output.done, max: 3}
    do:
      - {id: ask, run: [./ask, 'so far: ${{ loop.prev.ask.text }}'], capture: json}
)")) == "BL0207");
}

TEST_CASE("a flow that runs already is not stopped by what a later release can tell") {
  const std::string flow = R"(beamline: flow/v1
name: old
inputs: {n: {type: integer}}
steps:
  - {id: a, if: inputs.n, run: ./a}
  - {id: ask, needs: [], http: {url: https://example.org}}
  - {id: b, needs: [ask], set: {v: '${{ steps.ask.output.statsu }}'}}
)";
  CHECK(ParseFlow(flow).flow == nullptr);
  const ParseResult known = ParseFlow(flow, {.accepted_before = true});
  CHECK(known.flow != nullptr);
  CHECK(known.findings.size() == 2);
}

}  // namespace
}  // namespace beamline::flowspec
