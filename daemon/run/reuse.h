// Which results of a run a replay of it takes over.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/run/event.h"
#include "daemon/run/plan.h"
#include "daemon/run/state.h"

namespace beamline::run {

struct Reusable {
  std::vector<StepReused> reused;  // of the top-level main steps
  std::vector<std::string> again;  // those that run, by id
};

// What a run of `plan` takes over from `old`, whose flow may be another version: everything but the
// step `from`, what depends on it, and what did not come to an end that counts. With an empty
// `from`, what had failed runs again, and what depends on it.
// Errors: NotFound, the plan has no top-level step `from`.
absl::StatusOr<Reusable> ReuseResults(const RunState& old, const Plan& plan,
                                      const std::string& from);

}  // namespace beamline::run
