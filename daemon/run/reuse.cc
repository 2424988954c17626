// A step is reused only if all it depends on is.
#include "daemon/run/reuse.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/run/progress.h"

namespace beamline::run {
namespace {

// The node of the top-level main step of this id, or -1.
NodeIndex MainNode(const RunState& old, const std::string& id) {
  const NodeIndex index = FindNode(old, id);
  if (index < 0 || old.step_of(index).section != flowspec::Section::kMain) return -1;
  return index;
}

// Whether what the step came to can stand for a step of this plan.
bool Counts(const RunState& old, NodeIndex index, FanOut::Kind kind) {
  const Node& node = old.node(index);
  if (old.plan->fan(node.step).kind != kind) return false;
  if (node.status == Status::kSucceeded || node.status == Status::kSkipped) return true;
  return node.status == Status::kFailed && !FailsParent(old, index);
}

StepReused ResultOf(const RunState& old, NodeIndex index) {
  const Node& node = old.node(index);
  StepReused fact{PathOf(old, index), node.status, node.output,
                  node.error,         node.reason, ArtifactsBelow(old, index)};
  const auto fan = old.fans.find(index);
  if (fan == old.fans.end()) return fact;
  fact.items = fan->second.items;
  fact.keys = fan->second.keys;
  fact.count = fan->second.count;
  for (int32_t i = 0; i < fan->second.next; ++i) {
    const Item& item = fan->second.done[static_cast<size_t>(i)];
    fact.done.push_back({i, item.status, item.output, item.error, item.artifacts});
  }
  return fact;
}

void RunAgain(const Plan& plan, int32_t step, std::vector<bool>* again) {
  if ((*again)[static_cast<size_t>(step)]) return;
  (*again)[static_cast<size_t>(step)] = true;
  for (const int32_t dependent : plan.steps[static_cast<size_t>(step)].dependents) {
    RunAgain(plan, dependent, again);
  }
}

}  // namespace

absl::StatusOr<Reusable> ReuseResults(const RunState& old, const Plan& plan,
                                      const std::string& from) {
  std::vector<bool> again(plan.steps.size());
  bool found = from.empty();
  for (const int32_t step : plan.flow->main) {
    const std::string& id = plan.step(step).id;
    const NodeIndex before = MainNode(old, id);
    found = found || id == from;
    if (id == from || before < 0 || !Counts(old, before, plan.fan(step).kind)) {
      RunAgain(plan, step, &again);
    }
  }
  if (!found) {
    return absl::NotFoundError(absl::StrCat(
        "the flow has no top-level step `", from,
        "`; its steps: ", absl::StrJoin(plan.flow->main, ", ", [&](std::string* out, int32_t step) {
          out->append(plan.step(step).id);
        })));
  }
  Reusable result;
  for (const int32_t step : plan.flow->main) {
    const std::string& id = plan.step(step).id;
    if (again[static_cast<size_t>(step)]) {
      result.again.push_back(id);
    } else {
      result.reused.push_back(ResultOf(old, MainNode(old, id)));
    }
  }
  return result;
}

}  // namespace beamline::run
