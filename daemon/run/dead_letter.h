// Dead letters: steps that failed for good or are parked, which somebody has to look at. A list of
// them is kept beside the log and is derived from it alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

struct DeadLetter {
  std::string path;
  std::string kind;     // of the step: "run", "http", …
  bool parked = false;  // it holds its run open; else it has failed it
  std::string reason;   // one line
  Error error;          // of the last attempt
  int32_t attempts = 0;
  int32_t attempts_max = 1;  // that its `retry` allowed
  int32_t items_failed = 0;  // of a foreach
  absl::Time at;
};

struct DeadLetterChange {
  std::string path;
  std::optional<DeadLetter> letter;  // absent: there is none (any more)
  bool below = false;                // nor of any step below this one
};

// What `events`, after which the run is in `state`, change about the run's dead letters, in order.
// A parked step is one; so is a step that failed and by that its run, the innermost one where
// containers failed because of it, and of a foreach the step, not its items.
std::vector<DeadLetterChange> DeadLetterChanges(const RunState& state,
                                                absl::Span<const Event> events);

}  // namespace beamline::run
