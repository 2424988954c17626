// A small certificate authority: makes keys, and certificates for daemons and clients.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace beamline::cli {

struct KeyAndCertificate {
  std::string key, cert;  // PEM; the key is not encrypted
};

// Self-signed, ECDSA P-256, valid for ten years from a little before `now`.
absl::StatusOr<KeyAndCertificate> MakeAuthority(absl::Time now);

// For a server that is reached by `hosts` (DNS names and IP addresses; at least one), or for a
// client called `name`: "spiffe://…" becomes a URI name, one with @ an e-mail name, any other the
// common name alone. Signed by `authority`, valid for 397 days.
// InvalidArgument: a name that no certificate can hold; FailedPrecondition: `authority` is none.
absl::StatusOr<KeyAndCertificate> IssueForServer(const KeyAndCertificate& authority,
                                                 const std::vector<std::string>& hosts,
                                                 absl::Time now);
absl::StatusOr<KeyAndCertificate> IssueForClient(const KeyAndCertificate& authority,
                                                 const std::string& name, absl::Time now);

}  // namespace beamline::cli
