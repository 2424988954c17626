// Readiness by counting: each edge and each child is counted down once, so an event costs what it
// changes, never the size of the run.
#include "daemon/run/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "flowspec/check.h"

namespace beamline::run {
namespace {

using flowspec::Need;
using flowspec::OnError;
using flowspec::Step;
using flowspec::StepKind;
using flowspec::When;

Node& At(RunState& state, NodeIndex i) { return state.nodes[static_cast<size_t>(i)]; }

bool IsContainer(const Step& step) {
  return step.kind == StepKind::kDo || step.kind == StepKind::kParallel;
}

NodeIndex AllocateBlock(RunState& state, int32_t size) {
  auto free = state.free_blocks.find(size);
  if (free != state.free_blocks.end() && !free->second.empty()) {
    const NodeIndex first = free->second.back();
    free->second.pop_back();
    return first;
  }
  const auto first = static_cast<NodeIndex>(state.nodes.size());
  state.nodes.resize(state.nodes.size() + static_cast<size_t>(size));
  return first;
}

// Frees the node of an item with all that is below it.
void FreeTree(RunState& state, NodeIndex index) {
  FreeBelow(state, index);
  At(state, index) = Node();
}

// Frees the node of an item that nothing will read any more.
void FreeItem(RunState& state, NodeIndex index) {
  if (index < 0) return;
  FreeTree(state, index);
  state.free_blocks[1].push_back(index);
}

bool HeldBefore(const RunState& state, const Node& node) {
  const std::vector<std::string>& held = state.start.break_at;
  return node.item < 0 && !node.released && !held.empty() &&
         std::find(held.begin(), held.end(), state.plan->step(node.step).id) != held.end();
}

enum class Edge { kOpen, kSatisfied, kBlocked };

// A failure that `on_error: continue` tolerates satisfies all three kinds of edge.
Edge EdgeState(When when, Status status, const Step& needed) {
  if (!IsTerminal(status)) return Edge::kOpen;
  bool satisfied = true;
  if (when == When::kSuccess) {
    satisfied = status == Status::kSucceeded ||
                (status == Status::kFailed && needed.on_error == OnError::kContinue);
  } else if (when == When::kFailure) {
    satisfied = status == Status::kFailed;
  }
  return satisfied ? Edge::kSatisfied : Edge::kBlocked;
}

std::string BlockedReason(const Need& need, const Step& needed, Status status) {
  if (need.when == When::kFailure) {
    return absl::StrCat("runs only if `", needed.id, "` fails; it ",
                        status == Status::kSucceeded ? "succeeded" : StatusName(status));
  }
  return absl::StrCat(
      "needs `", needed.id, "` to succeed; it ",
      status == Status::kFailed ? "failed" : absl::StrCat("was ", StatusName(status)));
}

// Counts down the edge from `over`, a sibling that is over, to `dependent`.
void CloseEdge(RunState& state, NodeIndex dependent, int32_t over, Status status) {
  Node& node = At(state, dependent);
  if (node.status != Status::kPending || node.due || node.open_needs == 0) return;
  const Step& needed = state.plan->step(over);
  for (const Need& need : state.plan->step(node.step).needs) {
    if (need.step != over) continue;
    if (EdgeState(need.when, status, needed) == Edge::kBlocked) {
      if (node.stop) return SetDue(state, dependent, DueKind::kCancel);
      node.reason = BlockedReason(need, needed, status);
      return SetDue(state, dependent, DueKind::kSkip);
    }
    if (--node.open_needs == 0) Ready(state, dependent);
    return;
  }
}

void FinishItem(RunState& state, NodeIndex index, Status status) {
  const NodeIndex fan_index = At(state, index).parent;
  Fan& fan = state.fans.at(fan_index);
  Node& node = At(state, index);
  const int32_t item = node.item;
  Item& done = fan.done[static_cast<size_t>(item)];
  done.status = status;
  --fan.live;
  if (status == Status::kFailed) ++fan.failed;
  if (FanFailed(state, fan_index)) fan.stopped = true;
  const auto& plan = state.plan->steps[static_cast<size_t>(node.step)];
  done.output = plan.undoable ? node.output : std::move(node.output);
  done.error = std::move(node.error);
  done.artifacts = ArtifactsBelow(state, index);
  done.attempts = AttemptsBelow(state, index);
  const bool loop = plan.fan.kind == FanOut::Kind::kLoop;
  if (!plan.undoable) {  // else a compensation finds it by its path
    fan.node_of_item.erase(item);
    FreeItem(state, loop ? std::exchange(fan.before, std::exchange(fan.last, index)) : index);
  } else if (loop) {
    fan.before = std::exchange(fan.last, index);
  }
  if (loop && status == Status::kSucceeded && !fan.stopped && fan.next < fan.count) {
    fan.undecided = true;
    return Owe(state, fan_index, OwedKind::kResolve);
  }
  FillFan(state, fan_index);
}

void FinishChild(RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  const NodeIndex parent = node.parent;
  const bool fails = FailsParent(state, index);
  if (parent == kRunNode) {
    if (fails && state.error.ok()) state.error = ErrorAbove(state, index);
    if (--state.open_top == 0) LeaveSection(state);
    return;
  }
  if (fails && state.node(parent).error.ok()) {
    At(state, parent).error = ErrorAbove(state, index);
  }
  if (--At(state, parent).open_children == 0) Leave(state, parent);
}

// True if `index` is `root` or below it.
bool IsBelow(const RunState& state, NodeIndex index, NodeIndex root) {
  while (index != kRunNode && index != root) index = state.node(index).parent;
  return index == root;
}

void StopNode(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  auto fan = state.fans.find(index);
  if (fan != state.fans.end()) fan->second.stopped = true;
  if (node.owed[static_cast<size_t>(OwedKind::kRun)] != 0) {
    return Owe(state, index, OwedKind::kStop);
  }
  const bool has_below =
      node.open_children > 0 || (fan != state.fans.end() && fan->second.live > 0);
  if (has_below) return;  // it ends when they have ended
  Forgive(state, index, OwedKind::kResolve);
  if (node.due) return;  // what it is due will take the stop into account
  SetDue(state, index, node.leaving || fan != state.fans.end() ? DueKind::kEnd : DueKind::kCancel);
}

}  // namespace

void Ready(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  if (node.stop) return SetDue(state, index, DueKind::kCancel);
  if (HeldBefore(state, node)) return SetDue(state, index, DueKind::kHold);
  const Step& step = state.plan->step(node.step);
  const bool decided = node.item >= 0;  // `if` was evaluated for the whole foreach
  if (IsContainer(step) && !node.is_fan && (decided || step.condition < 0)) {
    return SetDue(state, index, DueKind::kBegin);
  }
  Owe(state, index, OwedKind::kResolve);
}

void Enter(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  const auto& plan = state.plan->steps[static_cast<size_t>(node.step)];
  const NodeIndex first = index - plan.ordinal;  // siblings stand side by side
  node.open_needs = 0;
  for (const Need& need : state.plan->step(node.step).needs) {
    const Step& needed = state.plan->step(need.step);
    const Status status =
        state.node(first + state.plan->steps[static_cast<size_t>(need.step)].ordinal).status;
    const Edge edge = EdgeState(need.when, status, needed);
    if (edge == Edge::kOpen) ++node.open_needs;
    if (edge != Edge::kBlocked) continue;
    node.reason = BlockedReason(need, needed, status);
    return SetDue(state, index, DueKind::kSkip);
  }
  if (node.open_needs == 0) Ready(state, index);
}

void FreeBelow(RunState& state, NodeIndex index) {
  if (const auto fan = state.fans.find(index); fan != state.fans.end()) {
    std::vector<NodeIndex> kept;  // items that a compensation might have had to find
    for (int32_t item = 0; item < fan->second.next; ++item) {
      const auto node = fan->second.node_of_item.find(item);
      if (node != fan->second.node_of_item.end()) kept.push_back(node->second);
    }
    state.fans.erase(fan);
    for (const NodeIndex item : kept) FreeItem(state, item);
  }
  const NodeIndex first = std::exchange(At(state, index).first_child, -1);
  if (first < 0) return;
  const auto size = static_cast<int32_t>(state.plan->children(state.node(index).step).size());
  for (int32_t i = 0; i < size; ++i) FreeTree(state, first + i);
  state.free_blocks[size].push_back(first);
}

int32_t AttemptsBelow(const RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  int32_t most = node.attempt;
  if (const auto fan = state.fans.find(index); fan != state.fans.end()) {
    for (const Item& item : fan->second.done) most = std::max(most, item.attempts);
  }
  if (node.first_child < 0) return most;
  const auto size = static_cast<NodeIndex>(state.plan->children(node.step).size());
  for (NodeIndex child = node.first_child; child < node.first_child + size; ++child) {
    most = std::max(most, AttemptsBelow(state, child));
  }
  return most;
}

bool FailsParent(const RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  return node.status == Status::kFailed &&
         state.plan->step(node.step).on_error != OnError::kContinue;
}

// What the children of an item made, since its node will be gone.
std::vector<ArtifactRef> ArtifactsBelow(const RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  if (node.first_child < 0) return node.artifacts;
  std::vector<ArtifactRef> artifacts;
  const auto size = static_cast<NodeIndex>(state.plan->children(node.step).size());
  for (NodeIndex child = node.first_child; child < node.first_child + size; ++child) {
    for (ArtifactRef& made : ArtifactsBelow(state, child)) {
      made.name = absl::StrCat(state.step_of(child).id, "/", made.name);
      artifacts.push_back(std::move(made));
    }
  }
  return artifacts;
}

Error ErrorAbove(const RunState& state, NodeIndex failed) {
  const Node& node = state.node(failed);
  const std::string name = node.parent == kRunNode
                               ? absl::StrCat("step `", PathOf(state, failed), "`")
                               : absl::StrCat("`", state.plan->step(node.step).id, "`");
  return {node.error.kind, absl::StrCat(name, " failed: ", node.error.message),
          node.error.exit_code};
}

void Owe(RunState& state, NodeIndex node, OwedKind kind) {
  Forgive(state, node, kind);
  auto& owed = node == kRunNode ? state.run_owed : At(state, node).owed;
  owed[static_cast<size_t>(kind)] = ++state.last_order;
  state.owed.emplace_hint(state.owed.end(), state.last_order, Owed{node, kind});
  if (kind == OwedKind::kResolve || kind == OwedKind::kRun) ++state.busy;
}

void Forgive(RunState& state, NodeIndex node, OwedKind kind) {
  auto& owed = node == kRunNode ? state.run_owed : At(state, node).owed;
  uint64_t& order = owed[static_cast<size_t>(kind)];
  if (order == 0) return;
  state.owed.erase(order);
  order = 0;
  if (kind == OwedKind::kResolve || kind == OwedKind::kRun) --state.busy;
}

void SetDue(RunState& state, NodeIndex node, DueKind kind) {
  if (node != kRunNode) {
    CHECK(!At(state, node).due);
    At(state, node).due = true;
  }
  state.due.push_back({node, kind});
}

void ClearDue(RunState& state, NodeIndex node) {
  if (node != kRunNode && !At(state, node).due) return;
  // The facts come in the order they fell due, so this is the first entry but for odd old logs.
  auto entry = std::find_if(state.due.begin(), state.due.end(),
                            [&](const Due& due) { return due.node == node; });
  if (entry != state.due.end()) state.due.erase(entry);
  if (node != kRunNode) At(state, node).due = false;
}

namespace {

// One step of a run that is to run no other.
void StartOnly(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  node.open_needs = 0;
  if (state.plan->step(node.step).id == state.start.only) return Ready(state, index);
  node.reason = absl::StrCat("only `", state.start.only, "` was asked for");
  SetDue(state, index, DueKind::kSkip);
}

// The next compensation, or the end of the section.
void UndoNext(RunState& state) {
  if (state.undo >= 0) FreeItem(state, std::exchange(state.undo, -1));
  const bool force = state.stop && state.stop->force;
  if (state.undoable.empty() || force) return LeaveSection(state);
  const NodeIndex undone = state.undoable.back();
  state.undoable.pop_back();
  state.undo = AllocateBlock(state, 1);
  Node& node = At(state, state.undo);
  node.step = state.step_of(undone).compensate;
  node.parent = undone;
  node.undoing = true;
  Ready(state, state.undo);
}

}  // namespace

void LeaveStandstill(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  if (node.status == Status::kParked) {
    --state.parked;
    if (node.item >= 0) --state.fans.at(node.parent).parked;
  }
  if (node.held) --state.held;
  node.held = false;
  const auto wait = state.waits.find(index);
  if (wait == state.waits.end()) return;
  state.listening.erase({wait->second.signal, index});
  state.waits.erase(wait);
}

void OpenUndo(RunState& state) { UndoNext(state); }

void LeaveWait(RunState& state, NodeIndex index) {
  LeaveStandstill(state, index);
  At(state, index).leaving = true;
  const Step& step = state.step_of(index);
  if (step.output.empty() && step.outputs_schema.empty()) {
    SetDue(state, index, DueKind::kEnd);
  } else {
    Owe(state, index, OwedKind::kResolve);
  }
}

void Release(RunState& state, NodeIndex index) {
  LeaveStandstill(state, index);
  Ready(state, index);
}

NodeIndex OpenScope(RunState& state, const std::vector<int32_t>& list, NodeIndex parent) {
  const auto size = static_cast<int32_t>(list.size());
  const NodeIndex first = AllocateBlock(state, size);
  const std::optional<StopReason> stop =
      parent == kRunNode ? std::nullopt : state.node(parent).stop;
  for (int32_t i = 0; i < size; ++i) {
    const Step& step = state.plan->step(list[static_cast<size_t>(i)]);
    Node& node = At(state, first + i);
    if (parent != kRunNode) node.attempt = state.node(parent).attempt;
    if (parent != kRunNode) node.times = state.node(parent).times;
    node.step = list[static_cast<size_t>(i)];
    node.parent = parent;
    node.stop = stop;
    node.is_fan = state.plan->fan(node.step).kind != FanOut::Kind::kNone;
    node.open_needs = static_cast<int32_t>(step.needs.size());
  }
  if (parent == kRunNode) {
    state.open_top = size;
  } else {
    At(state, parent).first_child = first;
    At(state, parent).open_children = size;
  }
  for (int32_t i = 0; i < size; ++i) {
    if (parent == kRunNode && !state.start.only.empty()) {
      StartOnly(state, first + i);
    } else if (state.node(first + i).open_needs == 0) {
      Ready(state, first + i);
    }
  }
  return first;
}

void FillFan(RunState& state, NodeIndex index) {
  const FanOut& out = state.plan->fan(state.node(index).step);
  while (true) {
    Fan& fan = state.fans.at(index);
    if (fan.stopped || (fan.next == fan.count && fan.again.empty())) break;
    // The rounds of a loop follow each other, a parked one too.
    const int32_t parked = out.kind == FanOut::Kind::kLoop ? 0 : fan.parked;
    if (fan.live - parked >= out.max_parallel) return;
    const NodeIndex item = AllocateBlock(state, 1);
    Node& node = At(state, item);
    node.step = state.node(index).step;
    node.parent = index;
    node.item = fan.again.empty() ? fan.next++ : fan.again.back();
    if (!fan.again.empty()) fan.again.pop_back();
    node.attempt =
        std::max(state.node(index).attempt, fan.done[static_cast<size_t>(node.item)].attempts);
    node.times = state.node(index).times;
    ++fan.live;
    fan.node_of_item.emplace(node.item, item);
    Ready(state, item);
  }
  if (state.fans.at(index).live == 0 && !state.node(index).due) Leave(state, index);
}

bool FanFailed(const RunState& state, NodeIndex index) {
  const Fan& fan = state.fans.at(index);
  const FanOut& out = state.plan->fan(state.node(index).step);
  const int64_t tolerated =
      out.tolerate_percent ? static_cast<int64_t>(fan.count) * out.tolerate / 100 : out.tolerate;
  return fan.failed > tolerated;
}

void Finish(RunState& state, NodeIndex index, Status status) {
  for (OwedKind kind : {OwedKind::kResolve, OwedKind::kRun, OwedKind::kStop, OwedKind::kWake}) {
    Forgive(state, index, kind);
  }
  ClearDue(state, index);
  Node& node = At(state, index);
  LeaveStandstill(state, index);
  const bool kept = state.plan->steps[static_cast<size_t>(node.step)].undoable;
  if (const auto fan = state.fans.find(index); fan != state.fans.end() && !kept) {
    FreeItem(state, std::exchange(fan->second.last, -1));
    FreeItem(state, std::exchange(fan->second.before, -1));
  }
  node.status = status;
  node.input = Value();
  node.recorded = false;
  state.turns.erase(index);
  state.cache_keys.erase(index);
  if (node.undoing) return UndoNext(state);
  const bool undoable = status == Status::kSucceeded && state.section == flowspec::Section::kMain &&
                        !node.is_fan && state.plan->step(node.step).compensate >= 0;
  if (undoable) state.undoable.push_back(index);
  if (node.item >= 0) return FinishItem(state, index, status);
  for (int32_t dependent : state.plan->steps[static_cast<size_t>(node.step)].dependents) {
    const NodeIndex first = node.parent == kRunNode
                                ? state.first[static_cast<size_t>(state.section)]
                                : state.node(node.parent).first_child;
    CloseEdge(state, first + state.plan->steps[static_cast<size_t>(dependent)].ordinal,
              state.node(index).step, status);
  }
  FinishChild(state, index);
}

void Park(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  for (OwedKind kind : {OwedKind::kResolve, OwedKind::kRun, OwedKind::kStop, OwedKind::kWake}) {
    Forgive(state, index, kind);
  }
  LeaveStandstill(state, index);
  node.status = Status::kParked;
  ++state.parked;
  if (node.item < 0) return;
  const NodeIndex fan = node.parent;
  ++state.fans.at(fan).parked;
  FillFan(state, fan);
}

void StopBelow(RunState& state, NodeIndex root, StopReason reason) {
  const auto count = static_cast<NodeIndex>(state.nodes.size());
  std::vector<NodeIndex> below;
  for (NodeIndex i = 0; i < count; ++i) {
    const Node& node = state.node(i);
    if (node.step < 0 || IsTerminal(node.status) || !IsBelow(state, i, root)) continue;
    At(state, i).stop = reason;
    below.push_back(i);
  }
  for (NodeIndex i : below) StopNode(state, i);
}

void Leave(RunState& state, NodeIndex index) {
  Node& node = At(state, index);
  node.leaving = true;
  const Step& step = state.plan->step(node.step);
  const bool failed = node.is_fan ? FanFailed(state, index) : !node.error.ok();
  const bool composed = node.is_fan || step.kind == StepKind::kParallel || !step.output.empty();
  if (composed && !failed && !node.stop) {
    Owe(state, index, OwedKind::kResolve);
  } else {
    SetDue(state, index, DueKind::kEnd);
  }
}

void LeaveSection(RunState& state) {
  const bool outputs = state.section == flowspec::Section::kMain && state.error.ok() &&
                       !state.stop && state.start.only.empty() &&
                       !state.plan->flow->outputs.empty();
  if (outputs) {
    Owe(state, kRunNode, OwedKind::kResolve);
  } else {
    SetDue(state, kRunNode, DueKind::kSection);
  }
}

}  // namespace beamline::run
