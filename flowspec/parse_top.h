// The top level of a flow, but for its lists of steps.
#pragma once

#include "flowspec/reader.h"

namespace beamline::flowspec {

// Reads all keys of `root` that are not steps, in the order that their expressions need: names of
// inputs, vars, env and secrets first.
void ReadTop(Reader& reader, const Node& root);

// What a step of `section` sees.
Scope StepScope(const Reader& reader, Section section);

}  // namespace beamline::flowspec
