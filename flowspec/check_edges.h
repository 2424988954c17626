// Names become edges: `needs`, the order of lists, and what expressions read of other steps.
#pragma once

#include "flowspec/reader.h"

namespace beamline::flowspec {

// Fills Step::needs of all steps and reports unknown and foreign steps, cycles, and reads of
// outputs that may not be there.
void CheckEdges(Reader& reader);

}  // namespace beamline::flowspec
