// How a run goes back: steps that are over begin again, and what is above them goes on. Internal to
// the core: only Evolve calls this.
#pragma once

#include "absl/time/time.h"
#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::run {

// A finished run goes on; StepRequeued and StepMarked say with what.
void Reopen(RunState& state, const RunReopened& fact, absl::Time now);
void Requeue(RunState& state, const StepRequeued& fact, absl::Time now);
void MarkDone(RunState& state, const StepMarked& fact, absl::Time now);

// Nothing of what the step was remains, but for how often it was tried; all below it is gone. What
// it waits for or is owed has been given up. The caller counts it among its siblings again.
void StartOver(RunState& state, NodeIndex node);

// The steps of a section that ran before begin anew.
void OpenSectionAgain(RunState& state, flowspec::Section section);

// What a step came to in another run stands here.
void Reuse(RunState& state, const StepReused& fact);

// What was withheld while the run was paused is owed (again).
void Unpause(RunState& state);

// The fan and the item that a path like "enrich[17]" names, whether the item has a node or not.
struct FanItem {
  NodeIndex fan = -1;
  int32_t item = -1;
};
// Nothing (-1) if there is no such item, or it has not begun.
FanItem FindItem(const RunState& state, std::string_view path);

}  // namespace beamline::run
