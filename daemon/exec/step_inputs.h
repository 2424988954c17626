// $BEAMLINE_IN: the files of earlier steps, laid out for a step's process.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/mutex.h"

namespace beamline::exec {

// Thread-safe. What an earlier step made is copied out of the blob store once per run, read-only; a
// directory of an attempt holds one symbolic link per earlier step. So an attempt costs a few links
// however many files there are, and no step can reach the blob store through them.
class StepInputs {
 public:
  using Tree = std::shared_ptr<const ports::ArtifactTree>;

  explicit StepInputs(ports::BlobStore& blobs) : blobs_(blobs) {}

  // True if Make has nothing to copy and takes microseconds.
  bool Ready(const ports::Attempt& attempt) const;

  // Makes the directory `dir` for the attempt; copies lie beside it, under names that begin with
  // its name. A copy that a step has changed since (a root process, or after chmod) is made anew;
  // of more than 1,000 files that is not looked at. May take as long as copying files does.
  // Errors: ResourceExhausted (the disk is full), DataLoss, Unavailable; nothing is left behind.
  absl::Status Make(const ports::Attempt& attempt, const std::string& dir);

  // Removes what Make put into `dir` for these trees.
  static void Remove(const std::vector<Tree>& trees, const std::string& dir);

  // The run is over: its copies go with its directory.
  void Forget(const run::RunId& run);

 private:
  struct Stamp {  // by which a changed file is known
    std::string path;
    uint64_t inode = 0, bytes = 0;
    int64_t changed_ns = 0;
  };
  struct Copy {
    Tree tree;
    std::string dir;
    std::atomic<bool> made = false;
    ports::Mutex mu;  // held while it is made
    std::vector<Stamp> stamps ABSL_GUARDED_BY(mu);
  };
  std::shared_ptr<Copy> Find(const run::RunId& run, const Tree& tree) const;
  std::shared_ptr<Copy> FindOrAdd(const run::RunId& run, const Tree& tree, const std::string& dir);
  void Drop(const run::RunId& run, const std::shared_ptr<Copy>& copy);
  absl::StatusOr<std::string> MakeCopy(const run::RunId& run, const Tree& tree,
                                       const std::string& dir);
  absl::Status Fill(Copy& copy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(copy.mu);
  absl::Status CopyFile(const ports::ArtifactTree::File& file, const std::string& to);
  static bool IsIntact(Copy& copy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(copy.mu);

  ports::BlobStore& blobs_;
  mutable ports::Mutex mu_;
  // By the path of the step that made it.
  absl::flat_hash_map<run::RunId, absl::flat_hash_map<std::string, std::shared_ptr<Copy>>> copies_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::exec
