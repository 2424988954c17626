// What the world still owes a run.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/run/effect.h"
#include "daemon/run/state.h"

namespace beamline::run {

// What the resolution that is owed to this node (kRunNode: the run) is for.
ReportResolution::Phase PhaseOf(const RunState& state, NodeIndex node);

// All effects that are owed, by growing order. After a restart this is what is to be done.
std::vector<Effect> Pending(const RunState& state);

// Those that came to be owed after the one with order `after`: an engine that remembers the last
// order it has seen hands out each effect once and pays only for new ones.
std::vector<Effect> PendingSince(const RunState& state, uint64_t after);

// The effect with this order, if it is still owed.
std::optional<Effect> PendingAt(const RunState& state, uint64_t order);

}  // namespace beamline::run
