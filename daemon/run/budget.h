// What a run and its steps may spend (`budget`), and what of it is left. Money and tokens are held
// before a call and charged after it, by the facts of the attempt themselves.
#pragma once

#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

// Why an attempt of `node` that may cost `most` must not start: a budget above it has too little
// left, or has no price to go by (`unpriced` names the model, empty: it has one). ok(): it may.
Error OverBudget(const RunState& state, NodeIndex node, const Cost& most,
                 const std::string& unpriced);

// Evolve's part of an attempt that starts, and of one that ends.
void Hold(RunState& state, NodeIndex node, const Cost& most);
void Charge(RunState& state, NodeIndex node, const AttemptFinished& fact);

}  // namespace beamline::run
