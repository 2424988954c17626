// ParseFlow: YAML, then the top level, then steps, then edges, then types, then jq.
#include "flowspec/parse.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "flowspec/check_edges.h"
#include "flowspec/check_types.h"
#include "flowspec/check_uses.h"
#include "flowspec/digest.h"
#include "flowspec/jq.h"
#include "flowspec/parse_steps.h"
#include "flowspec/parse_tests.h"
#include "flowspec/parse_top.h"
#include "flowspec/reader.h"
#include "flowspec/templates.h"
#include "flowspec/yaml.h"

namespace beamline::flowspec {
namespace {

void ParseSteps(Reader& reader, const Node& root) {
  StepTemplates templates(reader, root.Find("defaults"), root.Find("templates"));
  StepParser parser(reader, templates);
  const auto parse = [&](const char* key, Section section, std::vector<int32_t>* out) {
    if (const Node* list = root.Find(key)) {
      *out = parser.ParseList(*list, key, -1, StepScope(reader, section));
    }
  };
  if (root.is_map() && root.Find("steps") == nullptr) {
    reader.Error("BL0102", root, "the flow has no `steps`").help =
        "`beamline explain steps` shows a first flow";
  }
  parse("steps", Section::kMain, &reader.flow.main);
  parse("on_failure", Section::kOnFailure, &reader.flow.on_failure);
  parse("finally", Section::kFinally, &reader.flow.finally);
  if (!templates.exhausted()) CheckEdges(reader);
  if (const Node* tests = root.Find("test")) ReadTests(reader, *tests);
}

bool Overlap(const Span& a, const Span& b) {
  return a.line == b.line && a.column < b.column + std::max(b.length, 1) &&
         b.column < a.column + std::max(a.length, 1);
}

// Compiles the expressions; jq's complaints about one that is already known to be wrong are
// follow-up noise.
void Compile(const Flow& flow, Findings* findings) {
  std::vector<std::string> as_names;
  for (const Step& step : flow.steps) {
    if (step.foreach && step.foreach->as != "item") as_names.push_back(step.foreach->as);
  }
  std::sort(as_names.begin(), as_names.end());
  as_names.erase(std::unique(as_names.begin(), as_names.end()), as_names.end());
  std::vector<Span> broken;
  for (const Finding& finding : *findings) {
    if (finding.code.rfind("BL03", 0) == 0) broken.push_back(finding.span);
  }
  Findings compiled;
  CompileExpressions(flow.expressions, as_names, &compiled);
  for (Finding& finding : compiled) {
    const bool noise = std::any_of(broken.begin(), broken.end(),
                                   [&](const Span& span) { return Overlap(span, finding.span); });
    if (!noise) findings->push_back(std::move(finding));
  }
}

// See ParseOptions::accepted_before.
void Tolerate(Findings* findings) {
  for (Finding& finding : *findings) {
    const bool judged =
        finding.code == "BL0207" || (finding.code >= "BL0217" && finding.code <= "BL0222");
    if (judged) finding.severity = Severity::kWarning;
  }
}

// In source order. What a second check says about a place that is wrong already is noise; so is
// the same finding again, from a template that several steps extend.
void SortFindings(Findings* findings) {
  std::stable_sort(findings->begin(), findings->end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.span.line, a.span.column) < std::tie(b.span.line, b.span.column);
  });
  const auto noise = [](const Finding& a, const Finding& b) {
    return a.span.line == b.span.line && a.span.column == b.span.column &&
           (a.code != b.code || a.message == b.message);
  };
  findings->erase(std::unique(findings->begin(), findings->end(), noise), findings->end());
}

}  // namespace

ParseResult ParseFlow(std::string_view source, const ParseOptions& options) {
  ParseResult result;
  Reader reader(source, &result.findings);
  const NodePtr root = ParseYaml(source, reader.lines, &result.findings);
  if (root != nullptr) {
    ReadTop(reader, *root);
    if (root->is_map()) ParseSteps(reader, *root);
    if (!HasErrors(result.findings)) {
      CheckTypes(reader.flow, options.children, &result.findings);
      CheckUses(reader.flow, options.children, &result.findings);
    }
    if (options.compile_expressions && !reader.flow.expressions.empty()) {
      Compile(reader.flow, &result.findings);
    }
  }
  if (options.accepted_before) Tolerate(&result.findings);
  SortFindings(&result.findings);
  if (root != nullptr && !HasErrors(result.findings)) {
    reader.flow.source = std::string(source);
    reader.flow.digest = Sha256Hex(source);
    result.flow = std::make_shared<const Flow>(std::move(reader.flow));
  }
  return result;
}

}  // namespace beamline::flowspec
