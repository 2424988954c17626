// Who calls: the user behind a unix socket, or the name in a client's certificate.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/rpc/backend.h"
#include "daemon/rpc/peers.h"

namespace grpc {
class ServerContextBase;
}

namespace beamline::rpc {

// The names in a certificate, as the transport gives them.
struct CertificateNames {
  std::vector<std::string> spiffe_ids;  // URI names that begin with spiffe://
  std::vector<std::string> dns, emails;
  std::vector<std::string> common_names;
};

// "cert:NAME" for the first SPIFFE id, else the first DNS name, else the first e-mail address, else
// the common name. PermissionDenied: there is none that can be shown (1 to 256 printable bytes).
absl::StatusOr<std::string> ActorOf(const CertificateNames& names);

// The caller of a call: "uid:N" over the unix socket, "cert:NAME" over TLS, "anonymous:loopback"
// over plain TCP, which only serves this machine. Errors: PEER_UNKNOWN.
absl::StatusOr<Caller> Identify(const Peers& peers, const grpc::ServerContextBase& context);

}  // namespace beamline::rpc
