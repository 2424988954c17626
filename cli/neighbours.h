// The flows that lie beside a flow file, for checks of what it uses.
#pragma once

#include <string>

#include "flowspec/child_flows.h"

namespace beamline::cli {

// Reads files in and below the directory of `path` ("-": the current one) when they are asked for.
flowspec::FlowFiles FilesBeside(const std::string& path);

}  // namespace beamline::cli
