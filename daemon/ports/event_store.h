// Where the log of every run is kept, with the tables that are derived from it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/run/dead_letter.h"
#include "daemon/run/event.h"

namespace beamline::ports {

enum class RunStatus : uint8_t {
  kPending,
  kRunning,
  kWaiting,
  kPaused,
  kSucceeded,
  kFailed,
  kCancelled
};
inline bool IsFinished(RunStatus s) { return s >= RunStatus::kSucceeded; }

// One line of `runs list`. Derived from the run's events; rebuilt from them if need be.
struct RunRow {
  run::RunId id;
  std::string tenant, project;
  std::string flow_name, flow_digest;
  RunStatus status = RunStatus::kRunning;
  run::Labels labels;
  std::string actor;
  absl::Time started_at;
  absl::Time finished_at = absl::InfinitePast();  // InfinitePast: not finished
  uint64_t last_seq = 0;
  std::string error;  // of a failed run, one line
  // When a run that only waits has to be looked at again by itself; InfiniteFuture: never.
  absl::Time wake_at = absl::InfiniteFuture();
  std::string turn;  // whose turn it shares with other runs (RunStarted.concurrency_key)
};

// An output that later runs may reuse: the AttemptFinished with this seq holds it.
struct CacheEntry {
  std::string key;  // unique within a tenant
  uint64_t seq = 0;
  absl::Time made_at;
  absl::Time expires_at = absl::InfiniteFuture();
};

struct FlowSource {
  std::string digest, name, source;
};

// The events that one decision led to, and what else becomes true with them.
struct RunEvents {
  run::RunId id;
  uint64_t expected_seq = 0;       // the run's last seq before these; 0 = a new run
  std::vector<run::Event> events;  // seq expected_seq+1, …
  // Changed columns of the row: a new run brings all of it, later ones status, finished_at, error,
  // wake_at.
  // last_seq is kept by the store. Absent: only last_seq moves.
  std::optional<RunRow> row;
  // The flow that a new run pins, and those it may run below it; stored once per digest.
  std::vector<FlowSource> flows;
  // A new run's idempotency key within its flow, from now on this run's, with a hash of what has to
  // be equal under it; empty: none.
  std::string key, key_hash;
  std::vector<CacheEntry> cached;  // an entry replaces an earlier one with its key
  std::vector<run::DeadLetterChange> dead_letters;
};

// A dead letter with what it belongs to. `number` is never used again.
struct DeadLetterRow {
  uint64_t number = 0;
  run::RunId run;
  std::string flow_name;
  run::DeadLetter letter;
};

struct DeadLetterQuery {
  std::string tenant = "local";
  std::string flow_name;  // empty: all, as for the others
  std::optional<run::RunId> run;
  std::optional<bool> parked;
  std::string error_kind;
  absl::Time since = absl::InfinitePast();
  uint64_t before = 0;  // older than this one; for paging; 0: from the newest on
  int limit = 50;
};

struct RunQuery {
  std::string tenant = "local";
  std::vector<RunStatus> statuses;  // empty: all
  std::string flow_name;            // empty: all
  run::Labels labels;               // all of them must match
  absl::Time since = absl::InfinitePast();
  std::optional<run::RunId> before;  // older than this one; for paging
  int limit = 50;
};

// Thread-safe, except that one thread at a time calls Append.
class EventStore {
 public:
  virtual ~EventStore() = default;

  // Appends every run's events in `batch`: all or none, on disk before return.
  // Errors: Aborted, a run moved past its `expected_seq` (nothing written);
  //         ResourceExhausted, the disk is full; DataLoss, an I/O error. After either of the last
  //         two nothing more may be appended by this process: it ends and recovers from disk.
  virtual absl::Status Append(absl::Span<const RunEvents> batch) = 0;

  // The run's events after `after_seq`, oldest first, at most about `bytes_max` bytes of stored
  // events but at least one decision's; empty at the end. NotFound: no such run.
  // DataLoss: a gap or an unreadable event, with its place.
  virtual absl::StatusOr<std::vector<run::Event>> Read(const run::RunId& id, uint64_t after_seq,
                                                       size_t bytes_max) const = 0;

  // Calls `each` for every unfinished run, in order of run id: with all its events, or, if it only
  // waits (by its row), without them. One run's corruption is passed as an error in place of its
  // events and does not stop the others.
  virtual absl::Status ReadUnfinished(
      const std::function<void(const RunRow&, absl::StatusOr<std::vector<run::Event>>)>& each)
      const = 0;

  virtual absl::StatusOr<RunRow> GetRun(const run::RunId& id) const = 0;  // NotFound
  // Newest first.
  virtual absl::StatusOr<std::vector<RunRow>> ListRuns(const RunQuery& query) const = 0;
  // Runs of `tenant` whose 26-character id starts or ends with `part` (lower case, at least 4
  // characters), newest first, at most 10.
  virtual absl::StatusOr<std::vector<run::RunId>> FindRuns(const std::string& tenant,
                                                           const std::string& part) const = 0;
  // The run that a start request with this id led to (RunStarted.request_id), with its hash.
  struct Request {
    run::RunId id;
    std::string hash;
  };
  virtual absl::StatusOr<std::optional<Request>> FindRequest(
      const std::string& tenant, const std::string& request_id) const = 0;

  // The run that this idempotency key of a flow belongs to, and all runs of whatever flow that have
  // the key.
  struct Keyed {
    run::RunId id;
    std::string hash;  // RunEvents::key_hash
    absl::Time started_at;
  };
  virtual absl::StatusOr<std::optional<Keyed>> FindKey(const std::string& tenant,
                                                       const std::string& flow_name,
                                                       const std::string& key) const = 0;
  virtual absl::StatusOr<std::vector<run::RunId>> FindKeyed(const std::string& tenant,
                                                            const std::string& key) const = 0;

  struct Cached {
    run::RunId id;
    CacheEntry entry;
  };
  virtual absl::StatusOr<std::optional<Cached>> FindCached(const std::string& tenant,
                                                           const std::string& key) const = 0;

  // Newest first.
  virtual absl::StatusOr<std::vector<DeadLetterRow>> ListDeadLetters(
      const DeadLetterQuery& query) const = 0;
  // How many there are, counted up to `max`.
  virtual absl::StatusOr<uint64_t> CountDeadLetters(const std::string& tenant,
                                                    uint64_t max) const = 0;
  virtual absl::StatusOr<DeadLetterRow> GetDeadLetter(const std::string& tenant,
                                                      uint64_t number) const = 0;  // NotFound

  virtual absl::StatusOr<FlowSource> GetFlow(const std::string& digest) const = 0;  // NotFound

  // Deletes a finished run, its events and row. FailedPrecondition: not finished. NotFound.
  // Called by the thread that appends.
  virtual absl::Status DeleteRun(const run::RunId& id) = 0;

  // Moves what is in the write-ahead log into the database file; called by the appending thread
  // when it is idle and before a clean end.
  virtual absl::Status Checkpoint() = 0;
};

}  // namespace beamline::ports
