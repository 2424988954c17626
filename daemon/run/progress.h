// How a run moves on when a step comes into scope, becomes ready, ends or is stopped. Internal to
// the core: only Evolve calls this, so every change of state is the consequence of an event.
#pragma once

#include <span>

#include "daemon/run/state.h"

namespace beamline::run {

// The world owes this node (kRunNode: the run) an effect from now on; replaces one of its kind.
void Owe(RunState& state, NodeIndex node, OwedKind kind);
void Forgive(RunState& state, NodeIndex node, OwedKind kind);

// The core itself owes this node a fact (settle.h).
void SetDue(RunState& state, NodeIndex node, DueKind kind);
// Takes the entry for `node` out, if there is one. Its fact has come.
void ClearDue(RunState& state, NodeIndex node);

// Brings the steps of `list` into scope below `parent`; those without edges become ready.
// Returns the first of their nodes, which stand side by side.
NodeIndex OpenScope(RunState& state, const std::vector<int32_t>& list, NodeIndex parent);

// Brings what undoes the last step that succeeded into scope; the others follow one by one.
void OpenUndo(RunState& state);

// Starts items of the foreach while it may have more at once.
void FillFan(RunState& state, NodeIndex fan);

// The node is over. Its dependents and whatever is above it move on. An item's node is freed.
void Finish(RunState& state, NodeIndex node, Status status);

// The node cannot go on without a person.
void Park(RunState& state, NodeIndex node);

// Ends all that is at or below `root` (kRunNode: every node of the section that runs now).
void StopBelow(RunState& state, NodeIndex root, StopReason reason);

// What this wait waited for has come.
void LeaveWait(RunState& state, NodeIndex wait);

// The held step goes on to start.
void Release(RunState& state, NodeIndex node);

// The step waits for nothing any more. REQUIRES: pending, nothing is due for it.
void Ready(RunState& state, NodeIndex node);

// Counts the edges of a pending step anew, as its siblings are now: it becomes ready, waits, or
// will be skipped.
void Enter(RunState& state, NodeIndex node);

// The node is not parked, held or waiting any more; its status is for the caller to set.
void LeaveStandstill(RunState& state, NodeIndex node);

// Frees all that is below a step that is over.
void FreeBelow(RunState& state, NodeIndex node);

// The largest number that an attempt at or below the node has had.
int32_t AttemptsBelow(const RunState& state, NodeIndex node);

// What a step and its children made; of children with their ids in front.
std::vector<ArtifactRef> ArtifactsBelow(const RunState& state, NodeIndex node);

// Whether this failure fails what is above the step.
bool FailsParent(const RunState& state, NodeIndex node);

// The error of what is above a step that failed.
Error ErrorAbove(const RunState& state, NodeIndex failed);

// Every child of this container (or item of this foreach) is over.
void Leave(RunState& state, NodeIndex container);

// Every top-level step of the section is over.
void LeaveSection(RunState& state);

// More failed items than the foreach tolerates.
bool FanFailed(const RunState& state, NodeIndex fan);

}  // namespace beamline::run
