// What a retry would do, told without doing it.
#pragma once

#include <string>

#include "beamline/v1/orchestrator.pb.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/context.h"

namespace beamline::cli {

// Asks for a dry run of `request`, prints it with the command that carries it out, and returns the
// exit code.
int PreviewRetry(const Arguments& arguments, const Context& context, Client& client,
                 v1::RetryRunRequest request);

}  // namespace beamline::cli
