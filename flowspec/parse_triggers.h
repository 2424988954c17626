// The triggers of a flow.
#pragma once

#include "flowspec/reader.h"

namespace beamline::flowspec {

// Reads the list under `triggers` into the flow. REQUIRES: the inputs are read.
void ReadTriggers(Reader& reader, const Node& triggers);

}  // namespace beamline::flowspec
