// The event store in one SQLite database: write-ahead log, synchronous=FULL, one connection that
// writes and checkpoints, others that read.
//
// One connection, because SQLite before 3.51.3 can damage a database whose WAL is reset while
// another one writes or checkpoints; synchronous=FULL, because NORMAL may lose commits that were
// acknowledged when the power fails.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/ports/followed_log.h"
#include "daemon/ports/task_index.h"
#include "daemon/store/dead_letter_table.h"
#include "daemon/store/file.h"
#include "daemon/store/log_table.h"
#include "daemon/store/reader_pool.h"
#include "daemon/store/run_table.h"
#include "daemon/store/sqlite.h"
#include "daemon/store/task_table.h"

namespace beamline::store {

class SqliteStore : public ports::EventStore,
                    public ports::FlowRegistry,
                    public ports::TaskIndex,
                    public ports::FollowedLog {
 public:
  struct Options {
    std::string vfs;  // SQLite's name of a registered one; empty = the default
  };

  // Opens `directory`/runs.db; creates both (0700) where they are missing, and holds the
  // directory's lock while the store lives.
  // Errors: FailedPrecondition, another process has the store, a newer release wrote it, or it is
  // not ours; PermissionDenied; ResourceExhausted, the disk is full; DataLoss, it is damaged.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& directory,
                                                           const Options& options);
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& directory) {
    return Open(directory, Options());
  }
  ~SqliteStore() override;

  // Beyond the port: InvalidArgument, the batch is malformed (nothing written). Aborted also for a
  // start whose (tenant, request id) another run has.
  absl::Status Append(absl::Span<const ports::RunEvents> batch) override;
  absl::StatusOr<std::vector<run::Event>> Read(const run::RunId& id, uint64_t after_seq,
                                               size_t bytes_max) const override;
  absl::Status ReadUnfinished(
      const std::function<void(const ports::RunRow&, absl::StatusOr<std::vector<run::Event>>)>&
          each) const override;
  absl::StatusOr<ports::RunRow> GetRun(const run::RunId& id) const override;
  absl::StatusOr<std::vector<ports::RunRow>> ListRuns(const ports::RunQuery& query) const override;
  absl::StatusOr<std::vector<run::RunId>> FindRuns(const std::string& tenant,
                                                   const std::string& part) const override;
  absl::StatusOr<std::optional<Request>> FindRequest(const std::string& tenant,
                                                     const std::string& request_id) const override;
  absl::StatusOr<std::optional<Keyed>> FindKey(const std::string& tenant,
                                               const std::string& flow_name,
                                               const std::string& key) const override;
  absl::StatusOr<std::vector<run::RunId>> FindKeyed(const std::string& tenant,
                                                    const std::string& key) const override;
  absl::StatusOr<std::optional<Cached>> FindCached(const std::string& tenant,
                                                   const std::string& key) const override;
  absl::StatusOr<std::vector<ports::DeadLetterRow>> ListDeadLetters(
      const ports::DeadLetterQuery& query) const override;
  absl::StatusOr<uint64_t> CountDeadLetters(const std::string& tenant, uint64_t max) const override;
  absl::StatusOr<ports::DeadLetterRow> GetDeadLetter(const std::string& tenant,
                                                     uint64_t number) const override;
  absl::StatusOr<ports::FlowSource> GetFlow(const std::string& digest) const override;
  absl::Status DeleteRun(const run::RunId& id) override;
  absl::Status Checkpoint() override;

  // FlowRegistry (sqlite_flows.cc).
  absl::StatusOr<ports::Registered> Register(const ports::Registration& registration) override;
  absl::Status Remove(const Removal& removal) override;
  absl::Status Change(absl::Span<const ports::TriggerChange> changes) override;
  absl::StatusOr<ports::FlowVersion> CurrentFlow(const std::string& tenant,
                                                 const std::string& name) const override;
  absl::StatusOr<std::vector<ports::FlowVersion>> ListFlows(
      const ports::FlowQuery& query) const override;
  absl::StatusOr<std::vector<ports::FlowVersion>> FlowHistory(const std::string& tenant,
                                                              const std::string& name,
                                                              uint64_t before,
                                                              int limit) const override;
  absl::StatusOr<std::vector<ports::FlowVersion>> FindVersions(
      const std::string& tenant, const std::string& name,
      const std::string& digest_part) const override;
  absl::StatusOr<std::vector<ports::TriggerRow>> ListTriggers(
      const std::string& tenant, const std::string& name) const override;
  absl::StatusOr<std::vector<ports::DueStart>> ListDue() const override;
  uint64_t due_by_runs() const override { return due_by_runs_; }

  // TaskIndex.
  absl::StatusOr<std::vector<ports::TaskRow>> ListTasks(
      const ports::TaskQuery& query) const override;
  absl::StatusOr<uint64_t> CountTasks(const std::string& tenant) const override;
  absl::StatusOr<ports::TaskRow> GetTask(const std::string& tenant, uint64_t task) const override;
  absl::StatusOr<uint64_t> LastTask() const override;

  // FollowedLog (sqlite_log.cc).
  absl::StatusOr<std::vector<Entry>> ReadLog(uint64_t position, int entries_max,
                                             size_t bytes_max) const override;
  absl::StatusOr<uint64_t> LogEnd() const override;
  absl::StatusOr<std::map<std::string, uint64_t>> Cursors() const override;
  absl::Status MoveCursor(const std::string& follower, uint64_t position) override;
  absl::Status DropCursor(const std::string& follower) override;

 private:
  SqliteStore(Fd lock, Connection db, std::string path, const Options& options);
  absl::Status Prepare();

  // What the appending thread remembers of a run that goes on, to spare two queries per append.
  struct Live {
    int64_t run_no = 0;
    uint64_t last_seq = 0;
  };
  absl::Status AppendRun(const ports::RunEvents& events);
  absl::StatusOr<Live> FindLive(const run::RunId& id);
  absl::StatusOr<Live> InsertRun(const ports::RunEvents& events, const ports::RunRow& row);
  // Reads `awaited_` anew.
  absl::Status LoadAwaited();
  // Owes starts to what waits for the end of this run; of `row`, what an end changes.
  absl::Status Owe(int64_t run_no, const ports::RunRow& row);
  // Runs `write` in a transaction; after an error nothing of it remains.
  absl::Status Transact(const std::function<absl::Status()>& write);
  // Checkpoints once the log is long, so that it stays short and its file is used again.
  absl::Status BoundLog();
  absl::Status RunCheckpoint(int mode);
  // Remembers an error after which nothing may be appended.
  absl::Status Latch(absl::Status status);

  // The appending thread's.
  Fd lock_;
  Connection db_;
  Statement begin_, commit_;
  LogWriter log_;
  RunWriter runs_;
  DeadLetterWriter letters_;
  TaskWriter tasks_;
  absl::flat_hash_map<run::RunId, Live> live_;
  absl::flat_hash_set<std::string> flows_;    // digests known to be stored
  absl::flat_hash_set<std::string> awaited_;  // flows, as tenant/name, that triggers wait for
  uint64_t owed_ = 0;  // starts that the transaction under way adds to due_by_runs_
  // Grows after the commit: whoever looks at it before must find nothing missing.
  std::atomic<uint64_t> due_by_runs_{0};
  int wal_frames_ = 0;             // in the write-ahead log
  int wal_frames_checkpoint_ = 0;  // when to checkpoint next
  absl::Status broken_;

  mutable ReaderPool readers_;  // last: closed before the connection that writes
};

}  // namespace beamline::store
