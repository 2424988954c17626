// Which steps go back is worked out when it is decided and recorded; Evolve only does it.
#include "daemon/run/rewind.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/run/progress.h"
#include "daemon/run/reopen.h"
#include "flowspec/check.h"

namespace beamline::run {
namespace {

using flowspec::OnError;

bool IsAtOrBelow(const RunState& state, NodeIndex index, NodeIndex root) {
  while (index != kRunNode && index != root) index = state.node(index).parent;
  return index == root;
}

// Calls `each` with every node at or below `root`.
template <typename Each>
void ForEachBelow(const RunState& state, NodeIndex root, const Each& each) {
  const auto count = static_cast<NodeIndex>(state.nodes.size());
  for (NodeIndex i = 0; i < count; ++i) {
    if (state.node(i).step >= 0 && IsAtOrBelow(state, i, root)) each(i);
  }
}

// Why the node cannot go back now; empty if it can.
std::string WhyBusy(const RunState& state, NodeIndex root) {
  std::string why;
  ForEachBelow(state, root, [&](NodeIndex i) {
    const Node& node = state.node(i);
    const bool owed = node.owed[static_cast<size_t>(OwedKind::kResolve)] != 0 ||
                      node.owed[static_cast<size_t>(OwedKind::kRun)] != 0 ||
                      node.owed[static_cast<size_t>(OwedKind::kStop)] != 0;
    if (why.empty() && (owed || node.due)) {
      why = absl::StrCat("step `", PathOf(state, i),
                         "` is at work and would run again: ask for changes when it has ended");
    }
  });
  ForEachBelow(state, root, [&](NodeIndex i) {
    if (!why.empty() || state.node(i).status != Status::kParked) return;
    why = absl::StrCat("step `", PathOf(state, i),
                       "` is parked and would run again: a person has to help it first");
  });
  const Node& node = state.node(root);
  const bool fails =
      node.status == Status::kFailed && state.step_of(root).on_error != OnError::kContinue;
  if (why.empty() && fails) {
    why = absl::StrCat("step `", PathOf(state, root),
                       "` has failed and with it the run: reject it, or cancel the run");
  }
  return why;
}

// What the node waits for, holds or is owed is given up; with `keep_task`, its task asks again
// later.
void Abandon(RunState& state, NodeIndex index, bool keep_task) {
  for (OwedKind kind : {OwedKind::kResolve, OwedKind::kRun, OwedKind::kStop, OwedKind::kWake}) {
    Forgive(state, index, kind);
  }
  ClearDue(state, index);
  std::optional<Task> kept;
  if (const auto task = state.tasks.find(index); keep_task && task != state.tasks.end()) {
    kept = task->second;
    kept->open = false;
  }
  LeaveStandstill(state, index);
  if (kept) state.tasks.emplace(index, *std::move(kept));
  state.turns.erase(index);
  state.cache_keys.erase(index);
  std::erase(state.undoable, index);
}

// As if it had not begun.
void Reset(RunState& state, NodeIndex index) {
  ForEachBelow(state, index, [&](NodeIndex i) { Abandon(state, i, i == index); });
  StartOver(state, index);
}

}  // namespace

absl::StatusOr<StepsRewound> PlanRewind(const RunState& state, NodeIndex asking,
                                        const std::string& rerun) {
  const Node& node = state.node(asking);
  if (!state.start.only.empty()) {
    return absl::UnimplementedError("the run was started for one step only; no other runs");
  }
  const int32_t above = node.parent == kRunNode ? -1 : state.node(node.parent).step;
  const int32_t first = node.item < 0 ? state.plan->Find(above, rerun) : -1;
  if (first < 0) {
    return absl::UnimplementedError(absl::StrCat("there is no step `", rerun, "` to run again"));
  }
  std::vector<int32_t> steps{first};
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const int32_t next : state.plan->steps[static_cast<size_t>(steps[i])].dependents) {
      if (std::find(steps.begin(), steps.end(), next) == steps.end()) steps.push_back(next);
    }
  }
  StepsRewound fact{.path = PathOf(state, asking)};
  const int32_t ordinal = state.plan->steps[static_cast<size_t>(node.step)].ordinal;
  for (const int32_t step : steps) {  // siblings stand side by side
    const NodeIndex at = asking + state.plan->steps[static_cast<size_t>(step)].ordinal - ordinal;
    if (std::string why = WhyBusy(state, at); !why.empty()) return absl::UnavailableError(why);
    fact.steps.push_back(PathOf(state, at));
    const auto task = state.tasks.find(at);
    if (task != state.tasks.end()) fact.tasks.push_back(task->second.asked.task);
  }
  if (std::find(fact.steps.begin(), fact.steps.end(), fact.path) != fact.steps.end()) return fact;
  return absl::UnimplementedError(
      absl::StrCat("`", fact.path, "` does not wait for `", rerun, "`, so it would not ask again"));
}

std::vector<TaskClosed> TasksBelow(const RunState& state, const StepsRewound& rewound) {
  std::vector<TaskClosed> closed;
  for (const std::string& path : rewound.steps) {
    const NodeIndex root = FindNode(state, path);
    for (const auto& [index, task] : state.tasks) {
      if (index == root || !IsAtOrBelow(state, index, root)) continue;
      closed.push_back({PathOf(state, index), task.asked.task, TaskOutcome::kCancelled, {}});
    }
  }
  return closed;
}

void Rewind(RunState& state, const StepsRewound& rewound) {
  std::vector<NodeIndex> nodes;
  for (const std::string& path : rewound.steps) {
    nodes.push_back(FindNode(state, path));
    CHECK(nodes.back() >= 0);
  }
  for (const NodeIndex index : nodes) {
    const NodeIndex parent = state.node(index).parent;
    if (IsTerminal(state.node(index).status)) {
      ++(parent == kRunNode ? state.open_top
                            : state.nodes[static_cast<size_t>(parent)].open_children);
    }
    Reset(state, index);
    state.feedback[index] = {rewound.comment, rewound.by, rewound.round};
  }
  for (const NodeIndex index : nodes) Enter(state, index);
}

}  // namespace beamline::run
