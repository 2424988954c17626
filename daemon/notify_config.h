// Who is told of what happens: `notify` in the daemon's configuration file.
#pragma once

#include <optional>
#include <vector>

#include "daemon/model_config.h"
#include "daemon/notify/rule.h"
#include "flowspec/yaml.h"

namespace beamline::daemon {

// Reads the list at `notify`:
//   - name: chat
//     on: [approval_requested, run_failed]
//     flow: NAME or a list of them               (all)
//     labels: {team: red}                        (any)
//     webhook: {url: URL, headers: {NAME: TEXT}, secret: SOURCE}
//     command: [PROGRAM, ARGUMENT, …]            (one of the two)
//     timeout: 30s                               (of one try)
//     give_up_after: 24h
// SOURCE is {env: NAME} or {file: PATH}; the value of a header may be one, too.
std::optional<ConfigProblem> ReadNotify(const flowspec::Node& node,
                                        std::vector<notify::Rule>* rules);

}  // namespace beamline::daemon
