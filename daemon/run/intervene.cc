// Decisions about steps that are stuck. Each names what to do instead where it refuses.
#include "daemon/run/intervene.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "daemon/run/requeue.h"
#include "flowspec/check.h"

namespace beamline::run {
namespace {

using flowspec::Section;
using Facts = absl::StatusOr<std::vector<Fact>>;

absl::Status CheckRequest(const RunState& state, const Intervention& why) {
  const auto known = state.requests.find(why.request_id);
  if (why.request_id.empty() || known == state.requests.end()) return absl::OkStatus();
  if (known->second == why.request_hash) {
    return absl::AlreadyExistsError("this request was carried out before");
  }
  return absl::InvalidArgumentError("the request id was used for another request");
}

Intervened By(Verb verb, const Intervention& why) {
  return {verb, why.reason, why.request_id, why.request_hash};
}

// Whether steps of the run may be brought back at all.
absl::Status CheckRun(const RunState& state) {
  if (state.status == Status::kPending) {
    return absl::FailedPreconditionError("the run has not begun: it waits for its turn");
  }
  if (state.undone) {
    return absl::FailedPreconditionError(
        "what the run had done was undone by its `compensate` steps, so it cannot go on from "
        "there; replay it");
  }
  if (state.stop && !IsTerminal(state.status)) {
    return absl::FailedPreconditionError("the run is being stopped; retry it when it is over");
  }
  return absl::OkStatus();
}

// Why this step is none that could be brought back.
absl::Status RefuseStep(const RunState& state, NodeIndex index, const std::string& path) {
  const Node& node = state.node(index);
  const auto refuse = [&](auto... words) {
    return absl::FailedPreconditionError(absl::StrCat("step `", path, "` ", words...));
  };
  switch (node.status) {
    case Status::kSucceeded:
      return refuse("has succeeded; to run it again, replay the run from it");
    case Status::kSkipped:
      return refuse("was skipped (", node.reason, "); retry the step it needs");
    case Status::kPending:
      return refuse("has not started; nothing of it failed");
    case Status::kWaiting:
      return refuse("is waiting and has not failed; a signal, a time or `resume` lets it go on");
    default:
      return refuse("is under way; wait for it, or cancel the run");
  }
}

bool AwaitsRetry(const Node& node) {
  return node.status == Status::kWaiting && node.retry_at != absl::InfinitePast();
}

absl::Status NoStep(const std::string& path) {
  return absl::NotFoundError(absl::StrCat("the run has no step `", path, "`, or none yet"));
}

absl::Status CheckKept(const RunState& state, NodeIndex index);

// An item of a kind that can be brought back on its own.
absl::Status CheckItem(const RunState& state, const FanItem& at, const std::string& path) {
  const auto step = static_cast<size_t>(state.node(at.fan).step);
  const Fan& fan = state.fans.at(at.fan);
  if (state.plan->steps[step].fan.kind == FanOut::Kind::kLoop) {
    return absl::FailedPreconditionError(
        absl::StrCat("`", path, "` is a round of a loop; name the loop, which begins again"));
  }
  if (state.plan->steps[step].undoable) {
    return absl::FailedPreconditionError(absl::StrCat(
        "`", path, "` holds steps with a `compensate`; items of such a step are not retried"));
  }
  const Status status = fan.done[static_cast<size_t>(at.item)].status;
  if (IsStuck(status)) return CheckKept(state, at.fan);
  return absl::FailedPreconditionError(absl::StrCat(
      "item `", path, "` ", status == Status::kSucceeded ? "has succeeded" : "waits for its turn",
      "; nothing of it failed"));
}

// Items that are over are kept only where something may have to be undone.
absl::Status CheckKept(const RunState& state, NodeIndex index) {
  for (NodeIndex at = index; at != kRunNode; at = state.node(at).parent) {
    if (state.node(at).item < 0 || !IsTerminal(state.node(at).status)) continue;
    return CheckItem(state, {state.node(at).parent, state.node(at).item}, PathOf(state, at));
  }
  return absl::OkStatus();
}

// The section that the step belongs to.
Section SectionOf(const RunState& state, NodeIndex index) {
  while (state.node(index).parent != kRunNode) index = state.node(index).parent;
  return state.step_of(index).section;
}

// The section that a finished run goes on in: the first with a step that failed.
std::optional<Section> StuckSection(const RunState& state, bool items) {
  for (const Section section : {Section::kMain, Section::kOnFailure, Section::kFinally}) {
    RequeuePlan plan(state, false, items);
    plan.AddAll(section);
    if (!plan.empty()) return section;
  }
  return std::nullopt;
}

absl::Status CheckSection(const RunState& state, Section section) {
  if (IsTerminal(state.status) || section == state.section) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the run has left the section of this step; retry it when the run is over");
}

bool HasSensitive(const RunState& state) {
  const auto& inputs = state.plan->flow->inputs;
  return std::any_of(inputs.begin(), inputs.end(), [](const auto& i) { return i.sensitive; });
}

// The facts that a decision begins with.
Facts Opening(const RunState& state, Verb verb, const Intervention& why, Section section) {
  if (absl::Status status = CheckSection(state, section); !status.ok()) return status;
  std::vector<Fact> facts{By(verb, why)};
  if (!IsTerminal(state.status)) return facts;
  if (HasSensitive(state)) {
    return absl::FailedPreconditionError(
        "the run had sensitive inputs, which were forgotten when it ended; replay it and give "
        "them again");
  }
  facts.push_back(RunReopened{section});
  return facts;
}

absl::Status AddNamed(const RunState& state, const std::string& path, RequeuePlan* plan,
                      Section* section) {
  const NodeIndex index = FindNode(state, path);
  if (index < 0) {
    const FanItem item = FindItem(state, path);
    if (item.item < 0) return NoStep(path);
    if (absl::Status status = CheckItem(state, item, path); !status.ok()) return status;
    plan->AddItem(item);
    *section = SectionOf(state, item.fan);
    return absl::OkStatus();
  }
  *section = SectionOf(state, index);
  if (state.node(index).undoing) return NoStep(path);
  if (absl::Status status = CheckKept(state, index); !status.ok()) return status;
  plan->AddStep(index);
  return plan->empty() ? RefuseStep(state, index, path) : absl::OkStatus();
}

}  // namespace

Facts DecideRetry(const RunState& state, const RetryStep& wish) {
  if (absl::Status status = CheckRequest(state, wish.why); !status.ok()) return status;
  if (absl::Status status = CheckRun(state); !status.ok()) return status;
  RequeuePlan plan(state, wish.downstream, wish.failed_items);
  Section section = state.section;
  if (!wish.path.empty()) {
    const NodeIndex index = FindNode(state, wish.path);
    if (index >= 0 && AwaitsRetry(state.node(index))) {
      return std::vector<Fact>{By(Verb::kRetry, wish.why),
                               StepRequeued{wish.path, !wish.inputs.absent(), false}};
    }
    if (absl::Status status = AddNamed(state, wish.path, &plan, &section); !status.ok()) {
      return status;
    }
  } else {
    if (IsTerminal(state.status)) {
      section = StuckSection(state, wish.failed_items).value_or(section);
    }
    plan.AddAll(section);
    if (plan.empty() && !IsTerminal(state.status) && section != Section::kMain) {
      return absl::FailedPreconditionError(
          "the run has left its main steps; retry it when it is over");
    }
    if (plan.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("nothing to retry: no step of the run failed or is parked",
                       IsTerminal(state.status) ? "; to run it again, replay it" : ""));
    }
  }
  if (absl::Status status = plan.Follow(section); !status.ok()) return status;
  Facts facts = Opening(state, Verb::kRetry, wish.why, section);
  if (!facts.ok()) return facts;
  if (!wish.inputs.absent()) facts->push_back(InputsChanged{wish.inputs});
  for (Fact& fact : plan.Facts(!wish.inputs.absent())) facts->push_back(std::move(fact));
  return facts;
}

Facts DecideSkip(const RunState& state, const SkipStep& wish) {
  if (absl::Status status = CheckRequest(state, wish.why); !status.ok()) return status;
  if (absl::Status status = CheckRun(state); !status.ok()) return status;
  RequeuePlan plan(state, false, false);
  const NodeIndex index = FindNode(state, wish.path);
  const FanItem item = index < 0 ? FindItem(state, wish.path) : FanItem();
  if (index < 0 && item.item < 0) return NoStep(wish.path);
  if (index >= 0 && (!IsStuck(state.node(index).status) || state.node(index).undoing)) {
    return RefuseStep(state, index, wish.path);
  }
  if (index < 0) {
    if (absl::Status status = CheckItem(state, item, wish.path); !status.ok()) return status;
  }
  if (index >= 0) {
    if (absl::Status status = CheckKept(state, index); !status.ok()) return status;
    if (absl::Status status = CheckRenewable(state, index); !status.ok()) return status;
  }
  if (index >= 0) {
    plan.AddCause(index);
  } else {
    plan.AddItem(item);
  }
  const Section section = SectionOf(state, index < 0 ? item.fan : index);
  if (absl::Status status = plan.Follow(section); !status.ok()) return status;
  Facts facts = Opening(state, Verb::kSkip, wish.why, section);
  if (!facts.ok()) return facts;
  // What is over is brought back first, and then taken as done.
  if (index >= 0 && IsTerminal(state.node(index).status)) {
    facts->push_back(StepRequeued{wish.path, true, false});
  }
  facts->push_back(StepMarked{wish.path, wish.output, wish.why.reason});
  for (Fact& fact : plan.Steps(false)) facts->push_back(std::move(fact));
  return facts;
}

Facts DecideDrop(const RunState& state, const DropStep& wish) {
  if (absl::Status status = CheckRequest(state, wish.why); !status.ok()) return status;
  const NodeIndex index = FindNode(state, wish.path);
  if (index < 0) return NoStep(wish.path);
  const Status status = state.node(index).status;
  std::vector<Fact> facts{By(Verb::kDrop, wish.why)};
  if (status == Status::kParked) {
    facts.push_back(StepFinished{
        wish.path,
        Status::kFailed,
        {},
        {"dropped", wish.why.reason.empty() ? state.node(index).reason : wish.why.reason}});
  } else if (status != Status::kFailed) {
    return absl::FailedPreconditionError(
        absl::StrCat("step `", wish.path, "` neither failed nor is parked"));
  }
  facts.push_back(LetterDropped{wish.path});
  return facts;
}

Facts DecidePause(const RunState& state, const PauseRun& wish) {
  if (absl::Status status = CheckRequest(state, wish.why); !status.ok()) return status;
  if (IsTerminal(state.status)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the run is already over: ", StatusName(state.status)));
  }
  if (state.status == Status::kPending) {
    return absl::FailedPreconditionError("the run has not begun: it waits for its turn");
  }
  if (state.stop) return absl::FailedPreconditionError("the run is being stopped");
  if (state.paused) return absl::AlreadyExistsError("the run is paused already");
  return std::vector<Fact>{By(Verb::kPause, wish.why), RunPaused{}};
}

Facts DecideResume(const RunState& state, const ResumePaused& wish) {
  if (absl::Status status = CheckRequest(state, wish.why); !status.ok()) return status;
  if (!state.paused) return absl::FailedPreconditionError("the run is not paused");
  return std::vector<Fact>{By(Verb::kResume, wish.why), RunResumed{}};
}

Facts DecideRelease(const RunState& state, const ReleaseStep& wish) {
  if (absl::Status status = CheckRequest(state, wish.why); !status.ok()) return status;
  std::vector<Fact> facts{By(Verb::kResume, wish.why)};
  const auto count = static_cast<NodeIndex>(state.nodes.size());
  for (NodeIndex i = 0; i < count; ++i) {
    if (!state.node(i).held) continue;
    std::string path = PathOf(state, i);
    if (wish.path.empty() || wish.path == path) facts.push_back(StepReleased{std::move(path)});
  }
  if (facts.size() > 1) return facts;
  return absl::FailedPreconditionError(wish.path.empty()
                                           ? "no step of the run is held"
                                           : absl::StrCat("step `", wish.path, "` is not held"));
}

}  // namespace beamline::run
