// Which steps run again when somebody asks for one of them, and in which order they are named.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "daemon/run/reopen.h"
#include "daemon/run/state.h"

namespace beamline::run {

// True if the step failed, was cancelled or is parked.
bool IsStuck(Status status);

// FailedPrecondition: the step has begun, and something in it would have to be undone before it
// could begin anew.
absl::Status CheckRenewable(const RunState& state, NodeIndex index);

// Gathers steps, and then the facts that bring them back. Borrows the state.
class RequeuePlan {
 public:
  // `downstream`: what succeeded behind them runs again, too. `items`: failed items that their step
  // tolerated as well.
  RequeuePlan(const RunState& state, bool downstream, bool items)
      : state_(state), downstream_(downstream), items_(items) {}

  // What did not succeed in this section.
  void AddAll(flowspec::Section section);
  // What did not succeed at or below a step.
  void AddStep(NodeIndex index);
  void AddItem(const FanItem& item);
  // What was taken as done: only what depends on it is gathered.
  void AddCause(NodeIndex index);

  bool empty() const { return chosen_.empty() && items_chosen_.empty(); }

  // Adds what depends on all that was gathered, and what was cancelled in `section` of a finished
  // run or beside a step in a container that is over. FailedPrecondition: a step that would have to
  // run again is under way, or its effect would have to be undone first.
  absl::Status Follow(flowspec::Section section);
  // StepRequeued for each: below before above, and a step behind those it needs.
  // `fresh`: recorded inputs are not used again.
  std::vector<Fact> Facts(bool fresh) const;
  // Of those, all but items.
  std::vector<Fact> Steps(bool fresh) const;

 private:
  struct Choice {
    bool anew = false;
    bool follows = false;
  };
  void Gather(NodeIndex index);
  bool GatherBelow(NodeIndex index);
  bool GatherItems(NodeIndex index);
  absl::Status FollowFrom(NodeIndex index);
  absl::Status Depend(NodeIndex dependent);
  absl::Status GoesOn(NodeIndex index);
  void AddCancelled(NodeIndex first, size_t size);
  void Choose(NodeIndex index, bool anew);
  bool BeginsAnewAbove(NodeIndex index) const;
  std::vector<NodeIndex> InOrder() const;

  const RunState& state_;
  const bool downstream_, items_;
  absl::btree_map<NodeIndex, Choice> chosen_;
  std::vector<FanItem> items_chosen_;
  std::vector<NodeIndex> open_;  // whose dependents are not gathered yet
  std::set<NodeIndex> followed_, gone_on_, causes_;
  bool following_ = false;  // what is chosen from here on was not asked for
};

}  // namespace beamline::run
