// The table `log`: rows of events, appended and read back with every check there is.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/run/event.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// Puts the rows of one run together, in order, and tells what is wrong with one.
class History {
 public:
  // `last_seq` of the events before the first row; events up to `skip_to` are dropped.
  explicit History(uint64_t last_seq = 0, uint64_t skip_to = 0)
      : last_seq_(last_seq), skip_to_(skip_to) {}
  // DataLoss: the checksum is wrong, there is a gap, or the events are unreadable; with the place.
  absl::Status Add(int64_t run_no, int64_t seq, int64_t n, int64_t crc, std::string_view events);

  uint64_t last_seq() const { return last_seq_; }
  size_t bytes() const { return bytes_; }  // of the stored rows added so far
  std::vector<run::Event> Take() { return std::move(events_); }

 private:
  uint64_t last_seq_;
  uint64_t skip_to_;
  size_t bytes_ = 0;
  std::vector<run::Event> events_;
};

// For the one connection that writes.
class LogWriter {
 public:
  static absl::StatusOr<LogWriter> Prepare(Connection& db);
  // AlreadyExists: the run has events at `seq`.
  absl::Status Insert(int64_t run_no, uint64_t seq, size_t n, std::string_view events);
  // The seq of the run's last event; 0 without any.
  absl::StatusOr<uint64_t> LastSeq(int64_t run_no);
  // Deletes the run's rows. The log never gets shorter: a mark keeps the position of its last row
  // from being given again, which those who follow the log would miss.
  absl::Status DeleteRun(int64_t run_no);

 private:
  Statement insert_, last_, delete_, end_, mark_;
};

// For a connection that reads.
class LogReader {
 public:
  static absl::StatusOr<LogReader> Prepare(Connection& db);
  absl::StatusOr<uint64_t> LastSeq(int64_t run_no);
  // The events after `after_seq`, in whole rows until over `bytes_max` bytes. `last_seq_min`: the
  // run has at least this many; DataLoss if it has not, or see History::Add.
  absl::StatusOr<std::vector<run::Event>> Read(int64_t run_no, uint64_t after_seq,
                                               uint64_t last_seq_min, size_t bytes_max);

 private:
  Statement last_, rows_;
};

}  // namespace beamline::store
