// Going back: steps that have run already run again, because somebody asked for changes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

// The steps beside `asking` that run again when `rerun` does: it and all that depend on it,
// `asking` included. Its comment, round and person are left for the caller. Errors: Unavailable,
// one of them is at work; Unimplemented, it cannot be done at all.
absl::StatusOr<StepsRewound> PlanRewind(const RunState& state, NodeIndex asking,
                                        const std::string& rerun);

// Open tasks inside containers that are among these steps: they will not ask again as the same.
std::vector<TaskClosed> TasksBelow(const RunState& state, const StepsRewound& rewound);

// Called by Evolve.
void Rewind(RunState& state, const StepsRewound& rewound);

}  // namespace beamline::run
