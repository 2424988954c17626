// `flow` steps against the flows that they use.
#pragma once

#include "flowspec/flow.h"

namespace beamline::flowspec {

// Appends what is wrong with the files that `flow` uses and with the inputs that it gives them
// (errors), and which of them lead back to themselves (notes). Nothing without `children`.
void CheckUses(const Flow& flow, const ChildFlows& children, Findings* findings);

}  // namespace beamline::flowspec
