// What a retry would come to, told before it is wished.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/run/command.h"
#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

// A step whose result stays.
struct Kept {
  std::string path;
  int32_t items = 0;  // of a foreach that goes on: those that stay; 0: the step as a whole does
};

struct RetryPreview {
  std::vector<Fact> facts;  // as DecideRetry
  std::vector<Kept> kept;   // in the order of the flow, of the sections that the run has reached
};

// Decides and folds, as a wish would, on a copy. Errors: as DecideRetry.
absl::StatusOr<RetryPreview> PreviewRetry(RunState state, const RetryStep& wish, absl::Time now);

}  // namespace beamline::run
