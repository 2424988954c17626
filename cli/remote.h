// The way to a daemon elsewhere: its certificates are looked at before, and what went wrong is
// found out afterwards.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/context.h"

namespace beamline::cli {

// A client of the daemon at `remote`, which has answered within `timeout`. Never starts one.
// Unauthenticated: a certificate is missing, has expired, or one side does not trust the other;
// says which. Unavailable: nothing answers there.
absl::StatusOr<std::unique_ptr<Client>> ConnectRemote(const Remote& remote, absl::Duration timeout);

// The certificates of `remote` as they are on disk, and until when this client's is valid.
// Unauthenticated: one is unreadable, expired or does not fit its key.
struct RemoteFiles {
  RemoteCredentials credentials;
  absl::Time expires = absl::InfiniteFuture();
};
absl::StatusOr<RemoteFiles> ReadRemoteFiles(const Remote& remote, absl::Time now);

// Makes a TLS connection to `remote` by hand, to hear what the transport does not tell.
// Unauthenticated, Unavailable: why it cannot be made. Ok: it can.
absl::Status ProbeTls(const Remote& remote, const RemoteCredentials& credentials,
                      absl::Duration timeout);

}  // namespace beamline::cli
