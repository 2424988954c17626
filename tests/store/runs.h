// Directories, runs and events for the stores' tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/ports/event_store.h"

namespace beamline::store {

// A directory under $TMPDIR (or /tmp) that goes away with its owner. kInMemory: on a file system
// that syncs for free, where there is one; for tests that model the disk themselves.
class TempDir {
 public:
  enum Kind { kOnDisk, kInMemory };
  explicit TempDir(Kind kind = kOnDisk);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The seed of a random test: $BEAMLINE_SEED or `otherwise`; printed, so that it can be repeated.
uint64_t TestSeed(uint64_t otherwise);

// Ids that sort by `n`.
run::RunId MakeId(uint64_t n);

// A start of run `n` of flow "build": one event, its row and its flow.
ports::RunEvents Start(uint64_t n, const std::string& request_id = "");
// The decision that ends attempt `seq` and starts the next: two events after `seq`, about
// `bytes` bytes large.
ports::RunEvents Progress(uint64_t n, uint64_t seq, size_t bytes = 100);
// The end of the run: one event after `seq`.
ports::RunEvents Finish(uint64_t n, uint64_t seq,
                        ports::RunStatus status = ports::RunStatus::kSucceeded);

// "1:RunStarted 2:AttemptStarted …"
std::string Outline(const std::vector<run::Event>& events);

}  // namespace beamline::store
