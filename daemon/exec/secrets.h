// Where the values of a flow's secrets come from.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/ports/executor.h"

namespace beamline::exec {

// What of this machine flows may name as secrets.
struct SecretRules {
  // Environment variables and files of the daemon may be named at all. False where strangers may
  // submit flows: they would read what is the daemon's own.
  bool local = true;
};

// Adds the value of every secret that the body of `attempt` names to Attempt::sensitive.
// FailedPrecondition: a value is not there (now); says which, whence, and what to do. A file is
// read up to 64 KiB, without its last line end.
absl::Status ReadSecrets(const SecretRules& rules, ports::Attempt* attempt);

// The value that `source` ("env" or "file") and `place` (a variable of this process, or a path)
// name. FailedPrecondition: it is not there. A file is read as above.
absl::StatusOr<std::string> ReadSecret(absl::string_view source, const std::string& place);

// The value of a flow's secret, if the rules allow it. FailedPrecondition: as ReadSecrets.
absl::StatusOr<std::string> SecretValue(const SecretRules& rules, const flowspec::Secret& secret);

// The JSON text of the entry `name` of Attempt::sensitive; null if there is none.
const std::string* FindSensitive(const ports::Attempt& attempt, absl::string_view name);

}  // namespace beamline::exec
