// The runs that stand out among those that go on, for whoever looks at the whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/run/event.h"
#include "daemon/run/id.h"

namespace beamline::engine {

struct ActiveRun {
  run::RunId run;
  std::string flow;
  absl::Time started_at;
  int32_t under_way = 0;  // steps and items that run or are about to
  run::Cost spent;
};

struct Survey {
  std::vector<ActiveRun> oldest;   // longest first
  std::vector<ActiveRun> busiest;  // most under way first
  int slots = 0, slots_busy = 0;   // of steps of kind `run`
  uint64_t in_line = 0;            // that wait for a slot
};

}  // namespace beamline::engine
