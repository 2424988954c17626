// Builds the plan of a flow.
#include "daemon/run/plan.h"

namespace beamline::run {

const std::vector<int32_t>& Plan::section(flowspec::Section section) const {
  switch (section) {
    case flowspec::Section::kMain:
      return flow->main;
    case flowspec::Section::kOnFailure:
      return flow->on_failure;
    case flowspec::Section::kFinally:
    case flowspec::Section::kCompensate:
      break;
  }
  return flow->finally;
}

int32_t Plan::Find(int32_t parent, std::string_view id) const {
  auto found = by_id.find(std::pair<int32_t, std::string>(parent, id));
  return found == by_id.end() ? -1 : found->second;
}

namespace {

FanOut FanOutOf(const flowspec::Step& step) {
  if (step.foreach) {
    return {FanOut::Kind::kForeach, step.foreach->max_parallel, step.foreach->tolerate,
            step.foreach->tolerate_percent};
  }
  if (step.matrix) {
    return {FanOut::Kind::kMatrix, step.matrix->max_parallel, step.matrix->tolerate, false};
  }
  if (step.loop) return {.kind = FanOut::Kind::kLoop};
  return {};
}

}  // namespace

std::shared_ptr<const Plan> MakePlan(std::shared_ptr<const flowspec::Flow> flow) {
  auto plan = std::make_shared<Plan>();
  plan->budgeted = flowspec::IsLimited(flow->budget);
  plan->steps.resize(flow->steps.size());
  auto number = [&](const std::vector<int32_t>& list) {
    for (size_t i = 0; i < list.size(); ++i) {
      plan->steps[static_cast<size_t>(list[i])].ordinal = static_cast<int32_t>(i);
    }
  };
  number(flow->main);
  number(flow->on_failure);
  number(flow->finally);
  for (size_t i = 0; i < flow->steps.size(); ++i) {
    const flowspec::Step& step = flow->steps[i];
    number(step.children);
    plan->budgeted = plan->budgeted || flowspec::IsLimited(step.budget);
    plan->steps[i].fan = FanOutOf(step);
    for (int32_t at = step.compensate >= 0 ? static_cast<int32_t>(i) : -1; at >= 0;
         at = flow->steps[static_cast<size_t>(at)].parent) {
      plan->steps[static_cast<size_t>(at)].undoable = true;
    }
    plan->by_id.emplace(std::pair(step.parent, step.id), static_cast<int32_t>(i));
    for (const flowspec::Need& need : step.needs) {
      plan->steps[static_cast<size_t>(need.step)].dependents.push_back(static_cast<int32_t>(i));
    }
  }
  plan->flow = std::move(flow);
  return plan;
}

}  // namespace beamline::run
