// The flows that lie beside a flow file, or came with a registered one, for checks of what it uses.
#pragma once

#include <string>

#include "cli/flow_file.h"
#include "flowspec/child_flows.h"

namespace beamline::cli {

// Reads files in and below the directory of `path` ("-": the current one) when they are asked for.
flowspec::FlowFiles FilesBeside(const std::string& path);

// Those that a registered flow brings along.
flowspec::FlowFiles FilesWith(const SourceFile& registered);

}  // namespace beamline::cli
