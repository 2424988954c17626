// CheckExecutable: what a flow may say already, but this release cannot do yet.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "flowspec/outside.h"
#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

bool RunsHere(StepKind kind) {
  switch (kind) {
    case StepKind::kRun:
    case StepKind::kHttp:
    case StepKind::kLlm:
    case StepKind::kWorker:
    case StepKind::kSet:
    case StepKind::kFail:
    case StepKind::kDo:
    case StepKind::kParallel:
    case StepKind::kWait:
    case StepKind::kSignal:
    case StepKind::kFlow:
    case StepKind::kApprove:
      return true;
    default:
      return false;
  }
}

Finding NotYet(const char* code, const Span& span, const std::string& what, std::string help) {
  return {.code = code,
          .message = absl::StrCat(what, " cannot be executed by this release yet"),
          .span = span,
          .help = std::move(help)};
}

// Keys that are about attempts, on a step that makes none of its own.
void CheckAttempts(const Step& step, Findings* findings) {
  const bool container = step.kind == StepKind::kDo || step.kind == StepKind::kParallel;
  const bool waits = step.kind == StepKind::kWait || step.kind == StepKind::kApprove;
  if (!container && !waits) return;
  const std::pair<bool, const char*> keys[] = {{step.retry.max > 1, "retry"},
                                               {step.cache.has_value(), "cache"},
                                               {step.concurrency.has_value(), "concurrency"}};
  for (const auto& [used, name] : keys) {
    if (!used) continue;
    findings->push_back(
        {.code = "BL0503",
         .message = absl::StrCat("`", name, "` on `", KindName(step.kind), "` is not supported"),
         .span = step.span,
         .help = container ? absl::StrCat("put `", name, "` on the children")
                 : step.kind == StepKind::kApprove
                     ? "people are not attempts; `on_changes` asks them again"
                     : "a wait has no attempts; what it waits for can be repeated"});
  }
}

void CheckStep(const Flow& flow, const Step& step, Findings* findings) {
  if (!RunsHere(step.kind)) {
    findings->push_back(
        NotYet("BL0501", step.span,
               absl::StrCat("step `", step.id, "` of kind `", KindName(step.kind), "`"),
               "the flow is valid; this release executes every kind but agent"));
  }
  const auto key = [&](bool used, const char* name) {
    if (!used) return;
    findings->push_back(
        NotYet("BL0502", step.span, absl::StrCat("`", name, "` of step `", step.id, "`"), ""));
  };
  key(!step.runs_on.empty(), "runs_on");
  key(step.kind == StepKind::kWorker && !step.artifacts.empty(), "artifacts");
  CheckAttempts(step, findings);
  for (const Secret& secret : flow.secrets) {
    if (secret.source != "store" || !UsesSecret(step, secret)) continue;
    findings->push_back(
        NotYet("BL0504", step.span,
               absl::StrCat("the `store` secret `", secret.name, "` of step `", step.id, "`"),
               "name a variable or a file of the daemon: `{env: NAME}` or `{file: PATH}`"));
  }
}

}  // namespace

Findings CheckExecutable(const Flow& flow) {
  Findings findings;
  for (const Trigger& trigger : flow.triggers) {
    if (trigger.kind == Trigger::Kind::kCron || trigger.kind == Trigger::Kind::kFlow) continue;
    findings.push_back({.code = "BL0505",
                        .message = absl::StrCat("this release does not fire `",
                                                TriggerKindName(trigger.kind), "` triggers yet"),
                        .span = trigger.span,
                        .help = "take it out; `beamline submit NAME` starts runs from outside"});
  }
  for (const Step& step : flow.steps) CheckStep(flow, step, &findings);
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.span.line, a.span.column) < std::tie(b.span.line, b.span.column);
  });
  return findings;
}

}  // namespace beamline::flowspec
