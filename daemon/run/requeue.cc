// Only what did not succeed runs again, unless somebody wants what is behind it, too.
#include "daemon/run/requeue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/run/progress.h"
#include "flowspec/check.h"

namespace beamline::run {
namespace {

using flowspec::OnError;
using flowspec::Section;

int DepthOf(const RunState& state, NodeIndex index) {
  int depth = 0;
  for (NodeIndex at = state.node(index).parent; at != kRunNode; at = state.node(at).parent) ++depth;
  return depth;
}

NodeIndex SiblingOf(const RunState& state, NodeIndex index, int32_t step) {
  const auto& steps = state.plan->steps;
  return index - steps[static_cast<size_t>(state.node(index).step)].ordinal +
         steps[static_cast<size_t>(step)].ordinal;
}

}  // namespace

bool IsStuck(Status status) {
  return status == Status::kFailed || status == Status::kCancelled || status == Status::kParked;
}

absl::Status CheckRenewable(const RunState& state, NodeIndex index) {
  const Node& node = state.node(index);
  const bool began = node.first_child >= 0 || state.fans.contains(index);
  if (!began || !state.plan->steps[static_cast<size_t>(node.step)].undoable) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("`", PathOf(state, index),
                   "` holds steps with a `compensate`, whose effects would have to be undone "
                   "first; cancel the run, which undoes them, and replay it"));
}

void RequeuePlan::AddAll(Section section) {
  const NodeIndex first = state_.first[static_cast<size_t>(section)];
  const auto size = static_cast<NodeIndex>(state_.plan->section(section).size());
  for (NodeIndex i = first; first >= 0 && i < first + size; ++i) Gather(i);
}

// As one among others: a failure that the flow tolerates is no reason.
void RequeuePlan::Gather(NodeIndex index) {
  const Node& node = state_.node(index);
  const bool tolerated =
      node.status == Status::kFailed && state_.step_of(index).on_error == OnError::kContinue;
  if (!tolerated || items_) AddStep(index);
}

void RequeuePlan::AddStep(NodeIndex index) {
  if (causes_.contains(index)) return;
  const Node& node = state_.node(index);
  const auto fan = state_.fans.find(index);
  const bool loop = state_.plan->fan(node.step).kind == FanOut::Kind::kLoop && node.is_fan;
  if (loop && IsTerminal(node.status)) {
    if (IsStuck(node.status)) Choose(index, true);  // rounds build on each other
  } else if (fan != state_.fans.end()) {
    GatherItems(index);
  } else if (node.first_child >= 0) {
    const bool below = GatherBelow(index);
    if (!below && IsStuck(node.status)) Choose(index, false);
  } else if (IsStuck(node.status)) {
    Choose(index, node.is_fan || !state_.step_of(index).children.empty());
  }
}

void RequeuePlan::Choose(NodeIndex index, bool anew) {
  const auto [choice, fresh] = chosen_.try_emplace(index, Choice{anew, following_});
  choice->second.anew = choice->second.anew || anew;
  if (fresh) open_.push_back(index);
}

// False if nothing below the step is to run again.
bool RequeuePlan::GatherBelow(NodeIndex index) {
  const NodeIndex first = state_.node(index).first_child;
  const auto size = static_cast<NodeIndex>(state_.plan->children(state_.node(index).step).size());
  for (NodeIndex i = first; i < first + size; ++i) Gather(i);
  const auto is_below = [&](NodeIndex at) {
    while (at != kRunNode && at != index) at = state_.node(at).parent;
    return at == index;
  };
  return std::any_of(chosen_.begin(), chosen_.end(),
                     [&](const auto& choice) { return is_below(choice.first); }) ||
         std::any_of(items_chosen_.begin(), items_chosen_.end(),
                     [&](const FanItem& item) { return is_below(item.fan); });
}

// Parked items one by one; failed ones all at once, by their step.
bool RequeuePlan::GatherItems(NodeIndex index) {
  const Fan& fan = state_.fans.at(index);
  const bool over = IsStuck(state_.node(index).status);
  if (over || (fan.failed > 0 && (items_ || FanFailed(state_, index)))) {
    Choose(index, false);
  }
  for (int32_t item = 0; fan.live > 0 && item < fan.next; ++item) {
    const auto node = fan.node_of_item.find(item);
    if (node == fan.node_of_item.end() || IsTerminal(state_.node(node->second).status)) continue;
    Gather(node->second);
  }
  return over;
}

void RequeuePlan::AddItem(const FanItem& item) {
  // Of a step that was cancelled, no item was to be left out.
  if (state_.node(item.fan).status == Status::kCancelled) return Choose(item.fan, false);
  items_chosen_.push_back(item);
  open_.push_back(item.fan);
}

void RequeuePlan::AddCause(NodeIndex index) {
  causes_.insert(index);
  open_.push_back(index);
}

absl::Status RequeuePlan::Follow(Section section) {
  following_ = true;
  // The stop that cancelled steps of a finished run is over.
  if (IsTerminal(state_.status)) {
    AddCancelled(state_.first[static_cast<size_t>(section)], state_.plan->section(section).size());
  }
  while (!open_.empty()) {
    const NodeIndex from = open_.back();
    open_.pop_back();
    for (NodeIndex at = from; at != kRunNode; at = state_.node(at).parent) {
      absl::Status status = FollowFrom(at);
      if (status.ok() && at != from) status = GoesOn(at);
      if (!status.ok()) return status;
    }
  }
  for (const auto& [index, choice] : chosen_) {
    if (!choice.anew && !state_.node(index).is_fan) continue;
    if (absl::Status status = CheckRenewable(state_, index); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void RequeuePlan::AddCancelled(NodeIndex first, size_t size) {
  for (NodeIndex i = first; first >= 0 && i < first + static_cast<NodeIndex>(size); ++i) {
    if (state_.node(i).status == Status::kCancelled) AddStep(i);
  }
}

// A container or foreach that was over, because of something below it.
absl::Status RequeuePlan::GoesOn(NodeIndex index) {
  const Node& node = state_.node(index);
  if (!IsTerminal(node.status) || !gone_on_.insert(index).second) return absl::OkStatus();
  if (node.status == Status::kSucceeded && state_.step_of(index).compensate >= 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("`", PathOf(state_, index),
                     "` has succeeded and has a `compensate`; replay the run instead"));
  }
  AddCancelled(node.first_child, state_.plan->children(node.step).size());
  return absl::OkStatus();
}

absl::Status RequeuePlan::FollowFrom(NodeIndex index) {
  const Node& node = state_.node(index);
  if (node.item >= 0 || !IsTerminal(node.status) || !followed_.insert(index).second) {
    return absl::OkStatus();
  }
  if (node.parent == kRunNode && !state_.start.only.empty()) return absl::OkStatus();
  for (const int32_t step : state_.plan->steps[static_cast<size_t>(node.step)].dependents) {
    if (absl::Status status = Depend(SiblingOf(state_, index, step)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RequeuePlan::Depend(NodeIndex dependent) {
  const Node& node = state_.node(dependent);
  if (causes_.contains(dependent)) return absl::OkStatus();
  if (node.status == Status::kPending) return absl::OkStatus();  // it waits again
  if (!IsTerminal(node.status)) {
    if (!downstream_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("`", PathOf(state_, dependent), "` depends on it and is ",
                     StatusName(node.status), "; wait for it, or leave out --downstream"));
  }
  if (node.status == Status::kSucceeded && !downstream_) return absl::OkStatus();
  if (node.status == Status::kSucceeded &&
      state_.plan->steps[static_cast<size_t>(node.step)].undoable) {
    return absl::FailedPreconditionError(absl::StrCat(
        "`", PathOf(state_, dependent),
        "` has succeeded and has a `compensate`: it would have its effect twice; replay the run"));
  }
  Choose(dependent, true);
  return absl::OkStatus();
}

bool RequeuePlan::BeginsAnewAbove(NodeIndex index) const {
  for (NodeIndex at = state_.node(index).parent; at != kRunNode; at = state_.node(at).parent) {
    const auto choice = chosen_.find(at);
    if (choice != chosen_.end() && choice->second.anew) return true;
  }
  return false;
}

// Deepest first; among siblings, a step stands behind those it needs.
std::vector<NodeIndex> RequeuePlan::InOrder() const {
  std::vector<NodeIndex> open, ordered;
  for (const auto& [index, choice] : chosen_) {
    if (!BeginsAnewAbove(index)) open.push_back(index);
  }
  std::stable_sort(open.begin(), open.end(), [&](NodeIndex a, NodeIndex b) {
    return DepthOf(state_, a) > DepthOf(state_, b);
  });
  while (!open.empty()) {
    const auto ready = std::find_if(open.begin(), open.end(), [&](NodeIndex index) {
      const Node& node = state_.node(index);
      if (node.item >= 0) return true;
      const auto& needs = state_.plan->step(node.step).needs;
      return std::none_of(needs.begin(), needs.end(), [&](const flowspec::Need& need) {
        const NodeIndex needed = SiblingOf(state_, index, need.step);
        return std::find(open.begin(), open.end(), needed) != open.end();
      });
    });
    CHECK(ready != open.end());  // edges make no circle
    ordered.push_back(*ready);
    open.erase(ready);
  }
  return ordered;
}

std::vector<Fact> RequeuePlan::Facts(bool fresh) const {
  std::vector<Fact> facts;
  for (const FanItem& item : items_chosen_) {
    if (BeginsAnewAbove(item.fan) || chosen_.contains(item.fan)) continue;
    facts.push_back(
        StepRequeued{absl::StrCat(PathOf(state_, item.fan), "[", item.item, "]"), false, false});
  }
  for (Fact& fact : Steps(fresh)) facts.push_back(std::move(fact));
  return facts;
}

std::vector<Fact> RequeuePlan::Steps(bool fresh) const {
  std::vector<Fact> facts;
  for (const NodeIndex index : InOrder()) {
    const Choice& choice = chosen_.at(index);
    const bool again = fresh && state_.node(index).status == Status::kParked;
    facts.push_back(StepRequeued{PathOf(state_, index), choice.anew || again, choice.follows});
  }
  return facts;
}

}  // namespace beamline::run
