// Refusals as google.rpc.Status: a code, a message for people and details for programs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/rpc/reasons.h"

namespace beamline::rpc {

// Built up, then handed on as an absl::Status that carries its details:
//   return Refusal(Reason::kRunNotFound, "no run has the id x").With("run_id", "x");
class Refusal {
 public:
  Refusal(Reason reason, std::string message) : reason_(reason), message_(std::move(message)) {}

  Refusal& With(std::string key, std::string value);  // metadata of ErrorInfo
  // Of a BadRequest. `code`: for programs, may be empty.
  Refusal& Violation(std::string field, std::string description, std::string code = "");
  Refusal& Quota(std::string subject, std::string description);
  Refusal& Precondition(std::string type, std::string subject, std::string description);
  Refusal& Resource(std::string type, std::string name);
  Refusal& RetryAfter(absl::Duration delay);

  operator absl::Status() const;  // NOLINT: a refusal is a status

 private:
  struct Item {
    std::string a, b, c;
  };
  const Reason reason_;
  const std::string message_;
  std::vector<Item> metadata_, violations_, quotas_, preconditions_, resources_;
  absl::Duration retry_after_ = absl::ZeroDuration();
};

// The serialized google.rpc.Status of a refusal, for grpc-status-details-bin; empty for any other
// status.
std::string DetailsOf(const absl::Status& status);

// The reason's name, as in ErrorInfo; "" if `status` is no refusal.
std::string ReasonOf(const absl::Status& status);

// `status` as a refusal. What the rooms below say (a full disk, damage, draining) is given its
// reason; what they should never have said becomes INTERNAL.
absl::Status Explain(const absl::Status& status);

// The refusals that several calls share.
absl::Status RunNotFound(std::string_view id);
absl::Status TooLarge(const char* field, size_t bytes, size_t bytes_max);
absl::Status InvalidField(const char* field, std::string description);

}  // namespace beamline::rpc
