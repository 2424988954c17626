// The completion scripts of shells. They know nothing themselves: each asks `beamline __complete`,
// so that a script never disagrees with the program it completes.
#pragma once

#include <string_view>

namespace beamline::cli {

// The script of "bash", "zsh" or "fish".
std::string_view CompletionScript(std::string_view shell);

}  // namespace beamline::cli
