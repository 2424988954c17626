// The remote daemons that a user has given names to, and which one commands mean by default:
// contexts.yaml in the configuration directory.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/places.h"

namespace beamline::cli {

inline constexpr char kLocalContext[] = "default";  // the daemon of this machine, always there

struct Contexts {
  std::string current;  // of `context use`; empty: none was chosen
  std::map<std::string, Remote> remotes;
};

std::string ContextsPath(const Environment& environment);

// What `text`, the content of `path`, says. InvalidArgument: "FILE:LINE:COLUMN: …".
absl::StatusOr<Contexts> ParseContexts(std::string_view text, const std::string& path);

// The content of the file; nothing if there is none. Errors: as ParseContexts; PermissionDenied,
// the file is not only this user's to write: it could lead to a daemon of someone else.
absl::StatusOr<Contexts> ReadContexts(const std::string& path);

// Replaces the file (0600) whole; makes its directory (0700) where it is missing.
absl::Status WriteContexts(const std::string& path, const Contexts& contexts);

// What is wrong with a remote context, for people; "" if nothing is. Looks at no file.
std::string CheckRemote(const Remote& remote);

// HOST and PORT of an address, without brackets. False if it is none.
bool SplitAddress(const std::string& address, std::string* host, std::string* port);

}  // namespace beamline::cli
