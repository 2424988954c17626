// The table `dead_letters`: derived from the log, in the transaction of the events that change it.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ports/event_store.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// For the one connection that writes, inside a transaction of the caller.
class DeadLetterWriter {
 public:
  static absl::StatusOr<DeadLetterWriter> Prepare(Connection& db);
  absl::Status Apply(int64_t run_no, const run::DeadLetterChange& change);
  absl::Status DeleteRun(int64_t run_no);

 private:
  Statement insert_, delete_, delete_below_, delete_run_;
};

// Reads; see ports::EventStore.
absl::StatusOr<std::vector<ports::DeadLetterRow>> SelectDeadLetters(
    Connection& db, const ports::DeadLetterQuery& query);
absl::StatusOr<std::optional<ports::DeadLetterRow>> SelectDeadLetter(Connection& db,
                                                                     const std::string& tenant,
                                                                     uint64_t number);
// Walks along an index; 100,000 take about 5 ms.
absl::StatusOr<uint64_t> CountDeadLetters(Connection& db, const std::string& tenant, uint64_t max);

// The rules that the stores share.
bool IsAtOrBelow(std::string_view path, std::string_view above);
bool Fits(const ports::DeadLetterRow& row, const ports::DeadLetterQuery& query);
absl::Status DeadLetterNotFound(uint64_t number);  // NotFound

}  // namespace beamline::store
