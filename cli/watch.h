// A list that is shown over and over: `--watch`.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/output.h"

namespace beamline::cli {

// Shows the table that `fetch` gives, again every second, until Ctrl-C; in the place of an empty
// one `nothing`, unless that is null. The exit code.
int WatchTable(const Context& context, const char* nothing,
               const std::function<absl::StatusOr<Table>()>& fetch);

}  // namespace beamline::cli
