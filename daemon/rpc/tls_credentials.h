// What gRPC serves TLS with: the material that a TlsSource has at the moment of each handshake.
#pragma once

#include <memory>

#include "daemon/rpc/tls_files.h"

namespace grpc {
class ServerCredentials;
}

namespace beamline::rpc {

// Mutual TLS of 1.2 or newer: a client without a certificate of a CA in `source` is refused in the
// handshake. `source` outlives the server. For one port.
std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(const TlsSource& source);

}  // namespace beamline::rpc
