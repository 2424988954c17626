// The rules of approvals: who may decide what, and what follows. Everything that is not clearly a
// yes of enough people to what stands now is none.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/run/command.h"
#include "daemon/run/state.h"
#include "daemon/run/task.h"

namespace beamline::run {

inline constexpr size_t kCommentBytesMax = 16 * 1024;
inline constexpr size_t kDecisionsMax = 1000;   // of one task, over all rounds
inline constexpr size_t kDelegationsMax = 100;  // of one task

// The fact that an `approve` step asks, in its first round or its next one.
TaskOpened OpenTask(const RunState& state, NodeIndex node, const Ask& ask, absl::Time now);

// What a decision leads to.
// Errors: AlreadyExists, the same answer was given before; FailedPrecondition, another one was, or
//           the time is over; Aborted, what was shown is not what stands now;
//         NotFound, the task is closed or never was;
//         PermissionDenied, not an approver, or their own run;
//         InvalidArgument, a comment or something filled in is missing or wrong;
//         OutOfRange, the request id was used for another decision;
//         Unimplemented, changes cannot be asked for (any more);
//         Unavailable, a step that would run again is busy.
absl::StatusOr<std::vector<Fact>> Decide(const RunState& state, const DecideTask& wish,
                                         absl::Time now);
absl::StatusOr<std::vector<Fact>> Decide(const RunState& state, const DelegateTask& wish);

// What an answer to a task that is closed, or was read from its log, comes to: AlreadyExists or
// FailedPrecondition as above.
absl::Status AnswerClosed(const Task& task, const DecideTask& wish);

// Ok, or PermissionDenied with the reason.
absl::Status MayDecide(const Task& task, const Voter& voter);
// The voter has started the run.
bool IsInitiator(const Task& task, const Voter& voter);

// The time of an open task, or of its step, is over.
std::vector<Fact> TimeIsUp(const RunState& state, NodeIndex node, absl::Time now);

}  // namespace beamline::run
