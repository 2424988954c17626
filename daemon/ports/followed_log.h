// The logs of all runs as one, in the order in which they were written, for those who follow it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/run/event.h"
#include "daemon/run/id.h"

namespace beamline::ports {

// Thread-safe, except that one thread at a time calls MoveCursor and DropCursor: the one that
// appends.
class FollowedLog {
 public:
  // The events of one decision.
  struct Entry {
    uint64_t position = 0;  // grows; no position is ever given twice
    run::RunId run;
    absl::StatusOr<std::vector<run::Event>> events;  // DataLoss: damaged; the others are not
  };

  virtual ~FollowedLog() = default;

  // The entries behind `position`, oldest first, at most `entries_max` and about `bytes_max` stored
  // bytes of them but at least one; empty at the end. Those of deleted runs are left out.
  virtual absl::StatusOr<std::vector<Entry>> ReadLog(uint64_t position, int entries_max,
                                                     size_t bytes_max) const = 0;
  // The position of the last entry; 0: there is none yet.
  virtual absl::StatusOr<uint64_t> LogEnd() const = 0;

  // How far each follower has got, by its name.
  virtual absl::StatusOr<std::map<std::string, uint64_t>> Cursors() const = 0;
  // On disk before return. Errors: as EventStore::Append.
  virtual absl::Status MoveCursor(const std::string& follower, uint64_t position) = 0;
  virtual absl::Status DropCursor(const std::string& follower) = 0;
};

}  // namespace beamline::ports
