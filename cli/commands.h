// The command table's parts, a file for each group of commands.
#pragma once

#include <vector>

#include "cli/command.h"

namespace beamline::cli {

std::vector<Command> RunCommands();     // run, runs list, tail, …
std::vector<Command> FlowCommands();    // validate, plan, graph, …
std::vector<Command> WorkerCommands();  // worker run, …
std::vector<Command> DaemonCommands();  // daemon start, …
std::vector<Command> ToolCommands();    // completion, doctor, version

}  // namespace beamline::cli
