// The words of the flow format for its enumerations, and what makes, copies and destroys a flow:
// compiled once, since many files hold one.
#include "flowspec/flow.h"

namespace beamline::flowspec {

Flow::Flow() = default;
Flow::Flow(const Flow&) = default;
Flow::Flow(Flow&&) noexcept = default;
Flow& Flow::operator=(const Flow&) = default;
Flow& Flow::operator=(Flow&&) noexcept = default;
Flow::~Flow() = default;

const char* KindName(StepKind kind) {
  switch (kind) {
    case StepKind::kRun:
      return "run";
    case StepKind::kHttp:
      return "http";
    case StepKind::kLlm:
      return "llm";
    case StepKind::kAgent:
      return "agent";
    case StepKind::kWorker:
      return "worker";
    case StepKind::kApprove:
      return "approve";
    case StepKind::kFlow:
      return "flow";
    case StepKind::kWait:
      return "wait";
    case StepKind::kSignal:
      return "signal";
    case StepKind::kDo:
      return "do";
    case StepKind::kParallel:
      return "parallel";
    case StepKind::kSet:
      return "set";
    case StepKind::kFail:
      return "fail";
  }
  return "";
}

const char* WhenName(When when) {
  switch (when) {
    case When::kSuccess:
      return "success";
    case When::kFailure:
      return "failure";
    case When::kDone:
      return "done";
  }
  return "";
}

const char* EffectName(Effect effect) {
  switch (effect) {
    case Effect::kPure:
      return "pure";
    case Effect::kIdempotent:
      return "idempotent";
    case Effect::kOnce:
      return "once";
  }
  return "";
}

const char* TriggerKindName(Trigger::Kind kind) {
  constexpr const char* kNames[] = {"cron", "webhook", "event", "flow"};
  return kNames[static_cast<size_t>(kind)];
}

const char* OverlapName(Trigger::Overlap overlap) {
  constexpr const char* kNames[] = {"skip", "queue", "allow"};
  return kNames[static_cast<size_t>(overlap)];
}

const char* CatchupName(Trigger::Catchup catchup) {
  constexpr const char* kNames[] = {"none", "last", "all"};
  return kNames[static_cast<size_t>(catchup)];
}

}  // namespace beamline::flowspec
