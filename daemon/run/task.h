// What a run knows of an approval that it has asked for: the fold of the task's facts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/run/event.h"

namespace beamline::run {

struct Task {
  TaskOpened asked;         // in this round
  uint64_t opened_seq = 0;  // of that fact
  absl::Time opened_at;
  absl::Time until;   // when silence is a no, or is escalated
  bool open = false;  // it can be decided; false while changes are made, and at the end
  bool escalated = false;
  std::string digest;                  // of what stands to be approved
  Value payload;                       // what is filled in; absent: nothing so far
  std::vector<TaskDecided> decisions;  // of all rounds, in order
  std::vector<TaskDelegated> delegations;
  std::optional<TaskOutcome> outcome;
};

// Folds a fact of the task into it; others change nothing. Total.
void Apply(const Event& event, Task* task);

// How many have approved what stands now.
int32_t CountApprovals(const Task& task);

}  // namespace beamline::run
