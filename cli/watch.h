// What is shown over and over: `--watch`, `top`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/output.h"

namespace beamline::cli {

// Shows the lines that `fetch` gives for a terminal of this width and height, again every second
// and whenever the terminal's size changes, until q or Ctrl-C. The exit code.
int WatchLines(
    const Context& context,
    const std::function<absl::StatusOr<std::vector<std::string>>(int width, int height)>& fetch);

// The same with the table that `fetch` gives; in the place of an empty one `nothing`, unless that
// is null.
int WatchTable(const Context& context, const char* nothing,
               const std::function<absl::StatusOr<Table>()>& fetch);

// Prints the JSON that `fetch` gives, every second, until Ctrl-C or until nobody reads it any more.
int WatchData(const Context& context, const std::function<absl::StatusOr<std::string>()>& fetch);

}  // namespace beamline::cli
