// One small fold, shared by the core and by whoever reads a task that is over from its log.
#include "daemon/run/task.h"

#include <algorithm>

namespace beamline::run {
namespace {

void Open(const TaskOpened& fact, const Event& event, Task* task) {
  task->asked = fact;
  task->opened_seq = event.seq;
  task->opened_at = event.time;
  task->until = fact.until;
  task->open = true;
  task->escalated = false;
  task->digest = fact.digest;
  task->payload = Value();
}

}  // namespace

void Apply(const Event& event, Task* task) {
  if (const auto* opened = std::get_if<TaskOpened>(&event.fact)) {
    Open(*opened, event, task);
  } else if (const auto* decided = std::get_if<TaskDecided>(&event.fact)) {
    if (!decided->payload.absent()) task->payload = decided->payload;
    task->digest = decided->digest;
    task->decisions.push_back(*decided);
  } else if (const auto* delegated = std::get_if<TaskDelegated>(&event.fact)) {
    task->delegations.push_back(*delegated);
  } else if (const auto* escalated = std::get_if<TaskEscalated>(&event.fact)) {
    task->escalated = true;
    task->until = escalated->until;
  } else if (const auto* closed = std::get_if<TaskClosed>(&event.fact)) {
    task->open = false;
    task->outcome = closed->outcome;
  } else if (std::holds_alternative<StepsRewound>(event.fact)) {
    task->open = false;
  }
}

int32_t CountApprovals(const Task& task) {
  return static_cast<int32_t>(
      std::count_if(task.decisions.begin(), task.decisions.end(), [&](const TaskDecided& decision) {
        const bool yes =
            decision.verdict == Verdict::kApprove || decision.verdict == Verdict::kRespond;
        return yes && decision.round == task.asked.round && decision.digest == task.digest;
      }));
}

}  // namespace beamline::run
