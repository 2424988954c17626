// Reads of values against what is known of them before a run.
#pragma once

#include "flowspec/flow.h"
#include "flowspec/flow_shapes.h"

namespace beamline::flowspec {

// Appends what cannot be: members that are not there, conditions that are never true or false,
// lists that are none (errors), and members that no schema names (warnings). `flow` has no other
// errors; `children` may be empty.
void CheckTypes(const Flow& flow, const ChildFlows& children, Findings* findings);

}  // namespace beamline::flowspec
