// A flow prepared for execution: who waits for whom, and where a step stands among its siblings.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "flowspec/flow.h"

namespace beamline::run {

// How a step becomes several: the items of a foreach, the combinations of a matrix, the rounds of a
// loop.
struct FanOut {
  enum class Kind : uint8_t { kNone, kForeach, kMatrix, kLoop } kind = Kind::kNone;
  int32_t max_parallel = 1;
  int32_t tolerate = 0;  // failed items allowed; a percentage if tolerate_percent
  bool tolerate_percent = false;
};

struct Plan {
  std::shared_ptr<const flowspec::Flow> flow;
  struct StepPlan {
    std::vector<int32_t> dependents;  // steps that have an edge to this one
    int32_t ordinal = 0;              // position in its list
    FanOut fan;
    bool undoable = false;  // it, or a step below it, has a `compensate`
  };
  std::vector<StepPlan> steps;  // as flow->steps
  bool budgeted = false;        // the flow, or a step of it, has a budget
  absl::flat_hash_map<std::pair<int32_t, std::string>, int32_t> by_id;  // (parent step, id) → step

  const flowspec::Step& step(int32_t i) const { return flow->steps[static_cast<size_t>(i)]; }
  const FanOut& fan(int32_t i) const { return steps[static_cast<size_t>(i)].fan; }
  // The children of step `parent`.
  const std::vector<int32_t>& children(int32_t parent) const { return step(parent).children; }
  const std::vector<int32_t>& section(flowspec::Section section) const;
  // The child of `parent` (-1: a top-level step of any section) called `id`, or -1.
  int32_t Find(int32_t parent, std::string_view id) const;
};

std::shared_ptr<const Plan> MakePlan(std::shared_ptr<const flowspec::Flow> flow);

}  // namespace beamline::run
