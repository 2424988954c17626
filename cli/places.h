// Where a context's daemon listens and keeps its data.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::cli {

// The value of an environment variable; "" if it is not set.
using Environment = std::function<std::string(const char* name)>;
Environment ProcessEnvironment();

// $BEAMLINE_SOCKET, else $XDG_RUNTIME_DIR/beamline/<context>.sock, else
// /tmp/beamline-<uid>/<context>.sock. Absolute.
// InvalidArgument: the context is no plain name ([A-Za-z0-9._-]), or the path is longer than the
// 107 bytes that a socket's address holds.
absl::StatusOr<std::string> SocketPath(const std::string& context, const Environment& environment);

// $BEAMLINE_DATA_DIR, else $XDG_STATE_HOME/beamline, else ~/.local/state/beamline; every context
// but "default" has a directory of its own below contexts/. Absolute.
// FailedPrecondition: no home directory is known.
absl::StatusOr<std::string> DataDir(const std::string& context, const Environment& environment);

// The user's configuration directory: $XDG_CONFIG_HOME/beamline, else ~/.config/beamline.
std::string ConfigDir(const Environment& environment);

// True for a name that a context can have: 1 to 64 of [A-Za-z0-9._-], not beginning with a dot.
bool IsContextName(std::string_view name);

// Creates the directory of `socket` with mode 0700 where it is missing. PermissionDenied if it
// belongs to someone else, others may write to it, or it is a symbolic link: a daemon of ours must
// not be impersonated.
absl::Status PrepareSocketDir(const std::string& socket);

// `path` as an absolute path from the current directory, without a trailing slash.
std::string AbsolutePath(std::string_view path);

}  // namespace beamline::cli
