// What follows from the state alone, with no new wish: containers begin and end, steps behind
// blocked edges are skipped, sections follow each other, the run ends.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

// The facts that have fallen due, numbered from state.seq + 1; empty once all is settled. Evolving
// them may make further facts due.
std::vector<Event> Settle(const RunState& state, absl::Time now);

}  // namespace beamline::run
