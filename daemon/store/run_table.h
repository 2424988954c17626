// The tables `runs` and `flows`: one line per run for lists, and the flow each run pins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ports/event_store.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// For the one connection that writes.
class RunWriter {
 public:
  static absl::StatusOr<RunWriter> Prepare(Connection& db);

  // The new run's number. AlreadyExists: its id, or (tenant, request id), is there already.
  absl::StatusOr<int64_t> Insert(Connection& db, const ports::RunRow& row,
                                 const run::RunStarted* start);
  absl::Status Update(int64_t run_no, const ports::RunRow& row);
  struct Found {
    int64_t run_no = 0;
    bool finished = false;
  };
  absl::StatusOr<std::optional<Found>> Find(const run::RunId& id);
  absl::Status Delete(int64_t run_no);
  // Does nothing if the digest is there.
  absl::Status InsertFlow(const ports::FlowSource& flow);
  absl::Status SetKey(int64_t run_no, const ports::RunRow& row, const std::string& key,
                      const std::string& hash);
  absl::Status SetCached(int64_t run_no, const ports::CacheEntry& entry);

 private:
  Statement insert_, update_, find_, delete_, flow_, key_, cached_, forget_key_, forget_cached_;
};

struct NumberedRun {
  int64_t run_no = 0;
  ports::RunRow row;  // last_seq as `runs` has it: a lower bound (schema.cc)
};

// Queries on a connection that reads; all but SelectRun prepare anew, as they depend on the query
// or are rare. A status that this release does not know is DataLoss.
absl::StatusOr<Statement> PrepareSelectRun(Connection& db);
absl::StatusOr<std::optional<NumberedRun>> SelectRun(Statement& select, const run::RunId& id);
absl::StatusOr<std::vector<NumberedRun>> ListRuns(Connection& db, const ports::RunQuery& query);
// All that are not finished, in order of id.
absl::StatusOr<std::vector<NumberedRun>> UnfinishedRuns(Connection& db);
absl::StatusOr<std::vector<run::RunId>> FindRuns(Connection& db, const std::string& tenant,
                                                 const std::string& part);
absl::StatusOr<std::optional<ports::EventStore::Request>> FindRequest(
    Connection& db, const std::string& tenant, const std::string& request_id);
absl::StatusOr<std::optional<ports::EventStore::Keyed>> FindKey(Connection& db,
                                                                const std::string& tenant,
                                                                const std::string& flow_name,
                                                                const std::string& key);
absl::StatusOr<std::vector<run::RunId>> FindKeyed(Connection& db, const std::string& tenant,
                                                  const std::string& key);
absl::StatusOr<std::optional<ports::EventStore::Cached>> FindCached(Connection& db,
                                                                    const std::string& tenant,
                                                                    const std::string& key);
absl::StatusOr<std::optional<ports::FlowSource>> SelectFlow(Connection& db,
                                                            const std::string& digest);

// The id that runs.run_id holds.
run::RunId ToRunId(std::string_view bytes);

// Whether the 26 characters of `id` start or end with `part`.
bool MatchesPart(const run::RunId& id, const std::string& part);
inline constexpr int kFoundRunsMax = 10;

}  // namespace beamline::store
