// The private directories in which steps write $BEAMLINE_OUTPUT, and runs from elsewhere do their
// work: one per run, made when needed.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "daemon/run/id.h"

namespace beamline::exec {

// The working directory of a run that brings none of its own, in the run's directory below `root`:
// it goes with the run.
std::string WorkspaceOf(const std::string& root, const run::RunId& run);

// Not thread-safe.
class Scratch {
 public:
  // `root`: absolute; made, like the directories in it, for this user only.
  explicit Scratch(std::string root);

  // A path in the run's directory, which exists; no file has it, now or after a restart. Errors:
  // ResourceExhausted, Unavailable, naming the directory.
  absl::StatusOr<std::string> NewPath(const run::RunId& run);
  // Makes `workspace` if it is the one that WorkspaceOf gives to a run: sub-flows work in that of
  // the run that they belong to. Any other is the caller's.
  absl::Status MakeWorkspace(const std::string& workspace);
  // Removes the run's directory and what is in it.
  void Forget(const run::RunId& run);

 private:
  std::string DirectoryOf(const run::RunId& run) const;

  const std::string root_;
  std::string prefix_;  // of the files of this process
  uint64_t next_ = 1;
  absl::flat_hash_set<run::RunId> made_;
};

}  // namespace beamline::exec
