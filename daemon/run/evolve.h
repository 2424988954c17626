// The fold: one more fact.
#pragma once

#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

// The state after `event`. Total for the histories that Decide and Settle make: an event that does
// not fit its state is a broken invariant. REQUIRES: event.seq == state.seq + 1.
RunState Evolve(RunState state, const Event& event);

}  // namespace beamline::run
