// Commands become facts, or are refused.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/run/command.h"
#include "daemon/run/state.h"

namespace beamline::run {

// The facts that `command` itself leads to, numbered from state.seq + 1; never empty.
// Errors: Aborted, the command is about an attempt or state that is over (late, repeated, stale):
//           ignore it; FailedPrecondition, the run is finished, or a timer came before its time;
//         NotFound, no such step now.
absl::StatusOr<std::vector<Event>> Decide(const RunState& state, const Command& command,
                                          absl::Time now);

// Decide, Evolve and Settle until nothing is due any more: what one command comes to, as one unit
// of the log. On an error `state` is as it was.
absl::StatusOr<std::vector<Event>> Advance(RunState& state, const Command& command, absl::Time now);

}  // namespace beamline::run
