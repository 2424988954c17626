// Steps that can never run, whatever happens.
#pragma once

#include <cstdint>
#include <vector>

#include "flowspec/reader.h"

namespace beamline::flowspec {

// Reports steps whose edges contradict each other (errors), and steps that wait for what never
// happens (warnings). `order`: all steps, what is needed before what needs it.
void CheckReach(Reader& reader, const std::vector<int32_t>& order);

}  // namespace beamline::flowspec
