// Counts are taken anew, never corrected: what a step stands in is read off its siblings.
#include "daemon/run/reopen.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/numbers.h"
#include "daemon/run/progress.h"
#include "flowspec/check.h"

namespace beamline::run {
namespace {

using flowspec::Section;

constexpr OwedKind kAllOwed[] = {OwedKind::kResolve, OwedKind::kRun, OwedKind::kStop,
                                 OwedKind::kWake};

Node& At(RunState& state, NodeIndex i) { return state.nodes[static_cast<size_t>(i)]; }

void Renew(RunState& state, NodeIndex index) {
  LeaveStandstill(state, index);
  for (OwedKind kind : kAllOwed) Forgive(state, index, kind);
  ClearDue(state, index);
  state.turns.erase(index);
  state.cache_keys.erase(index);
  StartOver(state, index);
}

void Wake(RunState& state, NodeIndex index, absl::Duration after, absl::Time now) {
  if (after == absl::InfiniteDuration()) return;
  (index == kRunNode ? state.wake_at : At(state, index).wake_at) = now + after;
  Owe(state, index, OwedKind::kWake);
}

// The edges of a step that is ready to be looked at. Of the one step that was asked for (--only),
// none counts.
void Begin(RunState& state, NodeIndex index) {
  const bool top = state.node(index).parent == kRunNode;
  if (state.node(index).item >= 0 || (top && !state.start.only.empty())) {
    return Ready(state, index);
  }
  Enter(state, index);
}

// Siblings that have not begun and waited for this one wait again.
void HoldBack(RunState& state, NodeIndex index) {
  if (state.node(index).item >= 0 || !state.start.only.empty()) return;
  const auto& plan = state.plan->steps[static_cast<size_t>(state.node(index).step)];
  for (const int32_t dependent : plan.dependents) {
    const NodeIndex i =
        index - plan.ordinal + state.plan->steps[static_cast<size_t>(dependent)].ordinal;
    if (state.node(i).status != Status::kPending) continue;
    ClearDue(state, i);
    Forgive(state, i, OwedKind::kResolve);
    Enter(state, i);
  }
}

// What children of a container there are to wait for, and the first of them that fails it.
void CountChildren(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  const auto size = static_cast<NodeIndex>(state.plan->children(node.step).size());
  node.open_children = 0;
  node.error = Error();
  for (NodeIndex i = node.first_child; i >= 0 && i < node.first_child + size; ++i) {
    if (!IsTerminal(state.node(i).status)) ++node.open_children;
    if (node.error.ok() && FailsParent(state, i)) node.error = ErrorAbove(state, i);
  }
}

// A container or foreach goes on.
void GoOn(RunState& state, NodeIndex index, absl::Time now) {
  Node& node = At(state, index);
  const bool over = IsTerminal(node.status);
  ClearDue(state, index);
  if (std::exchange(node.leaving, false)) Forgive(state, index, OwedKind::kResolve);
  if (node.is_fan) {
    node.error = Error();
    state.fans.at(index).stopped = FanFailed(state, index);
  } else {
    CountChildren(state, index);
  }
  if (!over) return;
  node.status = Status::kRunning;
  node.stop.reset();
  node.stop_self = false;
  node.output = Value();
  node.reason.clear();
  const flowspec::Step& step = state.step_of(index);
  if (!node.is_fan) Wake(state, index, std::min(step.timeout, step.deadline), now);
  HoldBack(state, index);
}

// What is above a step that is not over any more, up to the run.
void GoOnAbove(RunState& state, NodeIndex below, absl::Time now) {
  for (NodeIndex at = state.node(below).parent; at != kRunNode; at = state.node(at).parent) {
    GoOn(state, at, now);
  }
  ClearDue(state, kRunNode);
  Forgive(state, kRunNode, OwedKind::kResolve);
  state.outputs_known = false;
  state.outputs = Value();
  state.error = Error();
  state.open_top = 0;
  for (const Section section : {Section::kMain, Section::kOnFailure, Section::kFinally}) {
    if (section > state.section) break;
    const NodeIndex first = state.first[static_cast<size_t>(section)];
    const auto size = static_cast<NodeIndex>(state.plan->section(section).size());
    for (NodeIndex i = first; first >= 0 && i < first + size; ++i) {
      if (section == state.section && !IsTerminal(state.node(i).status)) ++state.open_top;
      if (state.error.ok() && FailsParent(state, i)) state.error = ErrorAbove(state, i);
    }
  }
}

// Lets an item whose node is gone begin again, or takes it as done.
void Reset(Fan& fan, int32_t item, Status status) {
  Item& done = fan.done[static_cast<size_t>(item)];
  if (done.status == Status::kFailed) --fan.failed;
  done = Item{.status = status, .attempts = done.attempts};
}

// The items that did not succeed.
void RequeueItems(Fan& fan) {
  fan.again.clear();
  for (int32_t item = fan.next - 1; item >= 0; --item) {
    const Status status = fan.done[static_cast<size_t>(item)].status;
    if (status == Status::kSucceeded || fan.node_of_item.contains(item)) continue;
    Reset(fan, item, Status::kPending);
    fan.again.push_back(item);
  }
}

void RequeueItem(RunState& state, const FanItem& at, absl::Time now) {
  Fan& fan = state.fans.at(at.fan);
  Reset(fan, at.item, Status::kPending);
  const auto place =
      std::lower_bound(fan.again.begin(), fan.again.end(), at.item, std::greater<>());
  if (place == fan.again.end() || *place != at.item) fan.again.insert(place, at.item);
  GoOn(state, at.fan, now);
  GoOnAbove(state, at.fan, now);
  FillFan(state, at.fan);
}

// What has begun, and is over or parked, goes on.
void Continue(RunState& state, NodeIndex index, absl::Time now) {
  const bool began = state.fans.contains(index) || state.node(index).first_child >= 0;
  if (began) {
    if (state.node(index).is_fan) RequeueItems(state.fans.at(index));
    GoOn(state, index, now);
    GoOnAbove(state, index, now);
    if (state.node(index).is_fan) return FillFan(state, index);
    if (state.node(index).open_children == 0) Leave(state, index);
    return;
  }
  LeaveStandstill(state, index);
  for (OwedKind kind : kAllOwed) Forgive(state, index, kind);
  Node& node = At(state, index);
  node.status = Status::kPending;
  node.leaving = false;
  node.failures = node.unknowns = 0;
  node.retry_at = absl::InfinitePast();
  node.wake_at = absl::InfiniteFuture();
  node.stop.reset();
  node.stop_self = false;
  node.error = Error();
  node.reason.clear();
  GoOnAbove(state, index, now);
  Begin(state, index);
}

}  // namespace

FanItem FindItem(const RunState& state, std::string_view path) {
  const size_t bracket = path.rfind('[');
  if (bracket == std::string_view::npos || path.back() != ']') return {};
  FanItem found;
  found.fan = FindNode(state, path.substr(0, bracket));
  const std::string_view digits = path.substr(bracket + 1, path.size() - bracket - 2);
  const auto fan = state.fans.find(found.fan);
  if (fan == state.fans.end() ||
      !absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &found.item) ||
      found.item < 0 || found.item >= fan->second.next) {
    return {};
  }
  return found;
}

void StartOver(RunState& state, NodeIndex index) {
  const int32_t attempts = AttemptsBelow(state, index);
  const bool leaf = !state.node(index).is_fan && state.step_of(index).children.empty();
  const bool had_effect =
      leaf ? state.node(index).status == Status::kSucceeded : attempts > state.node(index).attempt;
  FreeBelow(state, index);
  state.holds.erase(index);
  state.accounts.erase(index);
  const Node old = std::exchange(At(state, index), Node());
  Node& node = At(state, index);
  node.step = old.step;
  node.parent = old.parent;
  node.item = old.item;
  node.is_fan = old.is_fan;
  node.released = old.released;
  node.attempt = attempts;
  node.times = old.times + (had_effect ? 1 : 0);
}

void Reopen(RunState& state, const RunReopened& fact, absl::Time now) {
  state.status = Status::kRunning;
  state.reopened = true;
  state.section = fact.section;
  state.finished_at = absl::Time();
  state.error = Error();
  state.stop.reset();
  state.paused = false;
  if (fact.section == Section::kMain) Wake(state, kRunNode, state.plan->flow->timeout, now);
}

void Requeue(RunState& state, const StepRequeued& fact, absl::Time now) {
  const NodeIndex index = FindNode(state, fact.path);
  if (index < 0) return RequeueItem(state, FindItem(state, fact.path), now);
  const bool over = IsTerminal(state.node(index).status);
  if (fact.anew) {
    Renew(state, index);
    GoOnAbove(state, index, now);
    Begin(state, index);
  } else {
    Continue(state, index, now);
  }
  if (over) HoldBack(state, index);
}

void MarkDone(RunState& state, const StepMarked& fact, absl::Time now) {
  if (const NodeIndex index = FindNode(state, fact.path); index >= 0) {
    ClearDue(state, index);
    Node& node = At(state, index);
    node.output = fact.output;
    node.error = Error();
    node.reason = fact.reason;
    return Finish(state, index, Status::kSucceeded);
  }
  const FanItem at = FindItem(state, fact.path);
  Fan& fan = state.fans.at(at.fan);
  std::erase(fan.again, at.item);
  Reset(fan, at.item, Status::kSucceeded);
  fan.done[static_cast<size_t>(at.item)].output = fact.output;
  GoOn(state, at.fan, now);
  GoOnAbove(state, at.fan, now);
  FillFan(state, at.fan);
}

void OpenSectionAgain(RunState& state, Section section) {
  const NodeIndex first = state.first[static_cast<size_t>(section)];
  const auto size = static_cast<NodeIndex>(state.plan->section(section).size());
  for (NodeIndex i = first; i < first + size; ++i) Renew(state, i);
  state.open_top = size;
  for (NodeIndex i = first; i < first + size; ++i) Enter(state, i);
}

void Reuse(RunState& state, const StepReused& fact) {
  const NodeIndex index = FindNode(state, fact.path);
  ClearDue(state, index);
  Node& node = At(state, index);
  node.output = fact.output;
  node.error = fact.error;
  node.reason = fact.reason;
  node.artifacts = fact.artifacts;
  if (node.is_fan && fact.status != Status::kSkipped) {
    Fan& fan = state.fans[index];
    fan.items = fact.items;
    fan.keys = fact.keys;
    fan.count = fan.next = fact.count;
    fan.done.resize(static_cast<size_t>(fact.count));
    for (const ReusedItem& item : fact.done) {
      fan.done[static_cast<size_t>(item.index)] = {item.status, item.output, item.error,
                                                   item.artifacts};
      if (item.status == Status::kFailed) ++fan.failed;
    }
  }
  Finish(state, index, fact.status);
  std::erase(state.undoable, index);  // its effect belongs to the other run
}

void Unpause(RunState& state) {
  if (!std::exchange(state.paused, false)) return;
  std::vector<NodeIndex> withheld;
  for (const auto& [order, owed] : state.owed) {
    if (owed.kind == OwedKind::kResolve) withheld.push_back(owed.node);
  }
  for (const NodeIndex node : withheld) Owe(state, node, OwedKind::kResolve);
}

}  // namespace beamline::run
