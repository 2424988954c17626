// Registered flows as people name them: "build", "build@sha256:9f3c…", "sha256:9f3c".
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

struct NamedFlow {
  ports::FlowVersion version;
  bool current = false;  // what the name alone means now
};

// Refusals FLOW_NOT_FOUND, with a near name if there is one; FLOW_AMBIGUOUS; ARGUMENT_INVALID for
// what cannot be a name.
absl::StatusOr<NamedFlow> FindFlow(const Backend& backend, const std::string& name);

absl::Status FlowNotFound(const Backend& backend, const std::string& name);

}  // namespace beamline::rpc
