// Finds and kills processes by descent and by the attempt that their environment names.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace beamline::exec {

// The variable by which a process is known to belong to an attempt, wherever it has moved to.
inline constexpr absl::string_view kAttemptVariable = "BEAMLINE_ATTEMPT";

// The pids in a /proc/…/children file.
std::vector<pid_t> ParsePids(absl::string_view text);

// The children of `pid`, of all its threads. Empty if it is gone.
std::vector<pid_t> ChildrenOf(pid_t pid);

// SIGKILLs `root` and its descendants. A process that forks meanwhile may leave a child: callers
// that need certainty repeat it until nobody is left.
void KillTree(pid_t root);

// The value of kAttemptVariable that `pid` was started with; empty if it has none, or is gone, or
// belongs to somebody else.
std::string AttemptOf(pid_t pid);

// SIGKILLs every process of this user that was started with one of `attempts`, until a look finds
// none (or 100 looks did not suffice). Reads all of /proc: for the rare case.
void KillAttempts(const absl::flat_hash_set<std::string>& attempts);

}  // namespace beamline::exec
