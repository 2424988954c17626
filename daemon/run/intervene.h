// What a person may do to a run whose steps failed or are parked, and to one that goes on.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/run/command.h"
#include "daemon/run/state.h"

namespace beamline::run {

// The facts that the wish leads to, Intervened first.
// Errors: AlreadyExists, this request was carried out before; InvalidArgument, its id was used for
//           another one; NotFound, no such step; FailedPrecondition, the step or the run is in no
//           state for this, with what to do instead.
absl::StatusOr<std::vector<Fact>> DecideRetry(const RunState& state, const RetryStep& wish);
absl::StatusOr<std::vector<Fact>> DecideSkip(const RunState& state, const SkipStep& wish);
absl::StatusOr<std::vector<Fact>> DecideDrop(const RunState& state, const DropStep& wish);
absl::StatusOr<std::vector<Fact>> DecidePause(const RunState& state, const PauseRun& wish);
absl::StatusOr<std::vector<Fact>> DecideResume(const RunState& state, const ResumePaused& wish);
absl::StatusOr<std::vector<Fact>> DecideRelease(const RunState& state, const ReleaseStep& wish);

}  // namespace beamline::run
