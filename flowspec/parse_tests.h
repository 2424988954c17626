// `test`: runs of the flow with answers in place of models, and what has to come of them.
#pragma once

#include "flowspec/reader.h"

namespace beamline::flowspec {

// Reads the cases under `test` of the flow; what they name has to be in it.
// REQUIRES: inputs, outputs and steps were read.
void ReadTests(Reader& reader, const Node& tests);

}  // namespace beamline::flowspec
