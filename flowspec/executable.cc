// CheckExecutable: what a flow may say already, but this release cannot do yet.
#include <algorithm>
#include <string>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "flowspec/parse.h"
#include "flowspec/yaml.h"

namespace beamline::flowspec {
namespace {

bool RunsHere(StepKind kind) {
  switch (kind) {
    case StepKind::kRun:
    case StepKind::kWorker:
    case StepKind::kSet:
    case StepKind::kFail:
    case StepKind::kDo:
    case StepKind::kParallel:
      return true;
    default:
      return false;
  }
}

// In the body of a `run` step an object {"secret": …} can only be a secret: text is escaped.
bool UsesSecret(const Step& step) {
  if (step.kind != StepKind::kRun) return false;
  for (const Piece& piece : step.input.pieces) {
    if (piece.kind == Piece::Kind::kText && absl::StrContains(piece.text, "{\"secret\":\"")) {
      return true;
    }
  }
  return false;
}

bool Limited(const Budget& budget) { return budget.usd >= 0 || budget.tokens >= 0; }

Finding NotYet(const char* code, const Span& span, std::string what, std::string help) {
  return {.code = code,
          .message = absl::StrCat(what, " cannot be executed by this release yet"),
          .span = span,
          .help = std::move(help)};
}

void CheckStep(const Step& step, Findings* findings) {
  if (!RunsHere(step.kind)) {
    findings->push_back(
        NotYet("BL0501", step.span,
               absl::StrCat("step `", step.id, "` of kind `", KindName(step.kind), "`"),
               "the flow is valid; this release executes run, worker, set, fail, do and parallel"));
  }
  const auto key = [&](bool used, const char* name) {
    if (!used) return;
    findings->push_back(
        NotYet("BL0502", step.span, absl::StrCat("`", name, "` of step `", step.id, "`"), ""));
  };
  key(step.matrix.has_value(), "matrix");
  key(step.loop.has_value(), "loop");
  key(step.cache.has_value(), "cache");
  key(step.compensate >= 0, "compensate");
  key(step.concurrency.has_value(), "concurrency");
  key(Limited(step.budget), "budget");
  key(!step.runs_on.empty(), "runs_on");
  key(step.kind == StepKind::kWorker && !step.artifacts.empty(), "artifacts");
  const bool container = step.kind == StepKind::kDo || step.kind == StepKind::kParallel;
  if (container && step.retry.max > 1) {
    findings->push_back(
        {.code = "BL0503",
         .message = absl::StrCat("`retry` on `", KindName(step.kind), "` is not supported"),
         .span = step.span,
         .help = "put `retry` on the children that may fail"});
  }
  if (UsesSecret(step)) {
    findings->push_back(
        NotYet("BL0504", step.span, absl::StrCat("a secret in step `", step.id, "`"), ""));
  }
}

// Where the top-level key stands.
Span KeySpan(const Flow& flow, std::string_view key) {
  Findings ignored;
  const LineTable lines(flow.source);
  const NodePtr root = ParseYaml(flow.source, lines, &ignored);
  if (root != nullptr) {
    for (const auto& [name, value] : root->entries) {
      if (name->text == key) return SpanOf(*name, flow.source, lines);
    }
  }
  return {1, 1, 0};
}

}  // namespace

Findings CheckExecutable(const Flow& flow) {
  Findings findings;
  const auto key = [&](bool used, const char* name) {
    if (!used) return;
    findings.push_back(
        NotYet("BL0502", KeySpan(flow, name), absl::StrCat("`", name, "` of the flow"), ""));
  };
  key(flow.concurrency.has_value(), "concurrency");
  key(flow.idempotency.has_value(), "idempotency");
  key(Limited(flow.budget), "budget");
  for (const Trigger& trigger : flow.triggers) {
    findings.push_back(
        {.code = "BL0505",
         .severity = Severity::kWarning,
         .message = absl::StrCat("this release does not fire `", trigger.kind, "` triggers yet"),
         .span = trigger.span,
         .help = "start runs with `beamline submit`"});
  }
  for (const Step& step : flow.steps) CheckStep(step, &findings);
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.span.line, a.span.column) < std::tie(b.span.line, b.span.column);
  });
  return findings;
}

}  // namespace beamline::flowspec
