// The way to the daemon: reaches the one that runs, or starts it and waits until it answers.
#pragma once

#include <ios>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/context.h"

namespace beamline::cli {

// A client of the daemon that `context` names: the remote one (see ConnectRemote), or that of
// context.socket. Starts the latter if none answers; two that start at once end with one daemon. A
// daemon of another version is replaced if nothing runs on it, otherwise used as it is, with a
// note. Unavailable: no daemon answers; says why, with the last lines of its log.
absl::StatusOr<std::unique_ptr<Client>> Connect(const Context& context);

// How long a daemon elsewhere may take to answer a first call.
inline constexpr absl::Duration kRemoteTimeout = absl::Seconds(15);

// The same, but never starts a daemon. NotFound: none is running. `timeout`: of a remote one.
absl::StatusOr<std::unique_ptr<Client>> ConnectToRunning(const Context& context,
                                                         absl::Duration timeout = kRemoteTimeout);

// The path of beamlined, beside this program or in $PATH; "" if there is none.
std::string FindDaemon();

// True if something accepts connections on `socket`.
bool IsListening(const std::string& socket);

// Where the daemon's stdout and stderr go: <data_dir>/beamlined.log.
std::string DaemonLogPath(const Context& context);
// The last `lines` lines of the file at `path` (of its last 1 MiB, and behind its first `from`
// bytes); "" if it cannot be read.
std::string LastLines(const std::string& path, int lines, std::streamoff from = 0);

}  // namespace beamline::cli
