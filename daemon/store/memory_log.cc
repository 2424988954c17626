// The log of all runs in the order in which it was written, and how far its followers have got.
#include "daemon/codec/event_codec.h"
#include "daemon/store/memory_store.h"

namespace beamline::store {

absl::StatusOr<std::vector<ports::FollowedLog::Entry>> MemoryStore::ReadLog(
    uint64_t position, int entries_max, size_t bytes_max) const {
  ports::MutexLock lock(&mu_);
  std::vector<Entry> entries;
  size_t bytes = 0;
  for (auto at = log_.upper_bound(position); at != log_.end(); ++at) {
    if (static_cast<int>(entries.size()) == entries_max || bytes >= bytes_max) break;
    const std::string& decision = runs_.at(at->second.run).decisions[at->second.decision];
    entries.push_back({at->first, at->second.run, codec::DecodeEvents(decision)});
    bytes += decision.size();
  }
  return entries;
}

absl::StatusOr<uint64_t> MemoryStore::LogEnd() const {
  ports::MutexLock lock(&mu_);
  return log_end_;
}

absl::StatusOr<std::map<std::string, uint64_t>> MemoryStore::Cursors() const {
  ports::MutexLock lock(&mu_);
  return cursors_;
}

absl::Status MemoryStore::MoveCursor(const std::string& follower, uint64_t position) {
  ports::MutexLock lock(&mu_);
  cursors_[follower] = position;
  return absl::OkStatus();
}

absl::Status MemoryStore::DropCursor(const std::string& follower) {
  ports::MutexLock lock(&mu_);
  cursors_.erase(follower);
  return absl::OkStatus();
}

}  // namespace beamline::store
