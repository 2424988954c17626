// Errors of the daemon, decoded from google.rpc.Status and told in one way by every command.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/context.h"

namespace beamline::cli {

struct ApiError {
  std::string message;
  std::string reason;  // "RUN_NOT_FOUND"; empty if the daemon gave none
  struct Violation {
    std::string field;  // or subject
    std::string description;
  };
  std::vector<Violation> violations;
  std::optional<absl::Duration> retry_delay;
  std::vector<std::pair<std::string, std::string>> metadata;  // sorted by key

  // The value of `key` in the metadata, or "".
  std::string_view Metadata(std::string_view key) const;
};

// Keeps the serialised google.rpc.Status of a failed call with `status`.
void AttachDetails(std::string_view details, absl::Status* status);

// Details that do not decode are left out.
ApiError DescribeError(const absl::Status& status);

// The exit code that tells this error, by its reason and else by its code.
int ExitCodeFor(const absl::Status& status);

// Tells `status` on context.err: the message with its reason, one line per violation, the delay
// after which a retry makes sense, and what to do. Returns ExitCodeFor(status).
int FailWith(const Context& context, const absl::Status& status);

}  // namespace beamline::cli
