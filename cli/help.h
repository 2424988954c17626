// `--help`, made from the command table.
#pragma once

#include <string>

#include "cli/command.h"

namespace beamline::cli {

// "beamline validate PATH… [flags]"
std::string UsageLine(const Command& command);
// "PATH…", "[RUN]": the positional as usage shows it.
std::string UsageWord(const Positional& positional);

// The help of everything, of a family ("runs"), of one command; at most `width` columns wide.
std::string HelpOfAll(bool color, int width);
std::string HelpOfFamily(const std::string& family, bool color, int width);
std::string HelpOfCommand(const Command& command, bool color, int width);

}  // namespace beamline::cli
