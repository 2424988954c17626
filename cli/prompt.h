// Questions to the person at the terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/context.h"

namespace beamline::cli {

// The line that is typed after `question` on context.err, without its line break; nothing at the
// end of input. A `secret` one is not shown. REQUIRES: context.may_ask().
std::optional<std::string> Ask(const Context& context, std::string_view question,
                               bool secret = false);

// Whether `question` is answered with yes: by --yes or a person. Without either a person or --yes
// the answer is no.
bool Confirm(const Context& context, std::string_view question);

}  // namespace beamline::cli
