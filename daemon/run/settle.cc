// One fact per entry of RunState::due.
#include "daemon/run/settle.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/run/progress.h"

namespace beamline::run {
namespace {

using flowspec::Section;
using flowspec::StepKind;

std::string StopMessage(const RunState& state) {
  return state.stop ? state.stop->message : std::string();
}

Error FanError(const RunState& state, NodeIndex index) {
  const Fan& fan = state.fans.at(index);
  if (state.plan->fan(state.node(index).step).kind != FanOut::Kind::kLoop) {
    return {"items", absl::StrCat(fan.failed, " of ", fan.count, " items failed")};
  }
  const Error& round = fan.done[static_cast<size_t>(fan.next - 1)].error;
  return {round.kind, absl::StrCat("round ", fan.next, " failed: ", round.message),
          round.exit_code};
}

// How a container, a foreach, all of whose children are over, or a wait ends.
StepFinished EndOf(const RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  const flowspec::Step& step = state.plan->step(node.step);
  StepFinished fact{.path = PathOf(state, index)};
  if (node.stop_self && node.stop != StopReason::kCancel) {
    fact.status = Status::kFailed;
    fact.error = {"timeout", absl::StrCat("not done within its ", StopReasonName(*node.stop))};
  } else if (node.is_fan && FanFailed(state, index)) {
    fact.status = Status::kFailed;
    fact.error = FanError(state, index);
  } else if (node.stop) {
    fact.status = Status::kCancelled;
  } else if (!node.error.ok()) {
    fact.status = Status::kFailed;
    fact.error = node.error;
  } else if (!step.children.empty()) {
    const auto last = node.first_child + static_cast<NodeIndex>(step.children.size()) - 1;
    fact.output = state.node(last).output;
  } else if (step.kind == StepKind::kWait || step.kind == StepKind::kApprove) {
    fact.output = node.output;
  }
  return fact;
}

Fact CancelOf(const RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  const std::string path = PathOf(state, index);
  if (node.stop_self && node.stop != StopReason::kCancel) {
    return StepFinished{
        .path = path,
        .status = Status::kFailed,
        .error = {StopReasonName(*node.stop),
                  node.error.ok() ? absl::StrCat("not done within its ", StopReasonName(*node.stop))
                                  : absl::StrCat("not done within its ", StopReasonName(*node.stop),
                                                 "; the last attempt: ", node.error.message)}};
  }
  return StepCancelled{path, state.stop && state.stop->reason == StopReason::kCancel
                                 ? "the run was cancelled"
                                 : "its run or container ran out of time"};
}

RunFinished EndOfRun(const RunState& state) {
  if (state.stop && state.stop->reason == StopReason::kCancel) {
    return {Status::kCancelled, {"cancel", StopMessage(state)}};
  }
  if (state.stop) return {Status::kFailed, {"timeout", StopMessage(state)}};
  if (!state.error.ok()) return {Status::kFailed, state.error};
  return {Status::kSucceeded, {}};
}

// What succeeded is undone when the main steps did not all end well, cancelled or failed; then
// on_failure follows a failed main section (a cancelled run has not failed), finally follows both.
Fact AfterSection(const RunState& state) {
  const flowspec::Flow& flow = *state.plan->flow;
  if (state.status == Status::kPending || !state.start.only.empty()) return EndOfRun(state);
  const bool force = state.stop && state.stop->force;
  const bool cancelled = state.stop && state.stop->reason == StopReason::kCancel;
  const bool failed = state.stop || !state.error.ok();
  const bool main = state.section == Section::kMain;
  if (!force && main && failed && !state.undoable.empty()) {
    return SectionStarted{Section::kCompensate};
  }
  if (!force && (main || state.section == Section::kCompensate) && failed && !cancelled &&
      !flow.on_failure.empty()) {
    return SectionStarted{Section::kOnFailure};
  }
  if (!force && state.section != Section::kFinally && !flow.finally.empty()) {
    return SectionStarted{Section::kFinally};
  }
  return EndOfRun(state);
}

Fact FactFor(const RunState& state, const Due& due) {
  switch (due.kind) {
    case DueKind::kBegin:
      if (state.node(due.node).stop) return CancelOf(state, due.node);
      return StepStarted{PathOf(state, due.node)};
    case DueKind::kSkip:
      return StepSkipped{PathOf(state, due.node), state.node(due.node).reason};
    case DueKind::kCancel:
      return CancelOf(state, due.node);
    case DueKind::kHold:
      return StepHeld{PathOf(state, due.node)};
    case DueKind::kEnd:
      return EndOf(state, due.node);
    case DueKind::kSection:
      break;
  }
  return AfterSection(state);
}

}  // namespace

std::vector<Event> Settle(const RunState& state, absl::Time now) {
  std::vector<Event> events;
  events.reserve(state.due.size());
  const auto add = [&](Fact fact) {
    events.push_back({state.seq + events.size() + 1, now, "system", std::move(fact)});
  };
  for (const Due& due : state.due) {
    const bool ends = due.kind == DueKind::kSkip || due.kind == DueKind::kCancel;
    if (const auto task = state.tasks.find(due.node); ends && task != state.tasks.end()) {
      add(TaskClosed{
          PathOf(state, due.node), task->second.asked.task, TaskOutcome::kCancelled, {}});
    }
    add(FactFor(state, due));
  }
  return events;
}

}  // namespace beamline::run
