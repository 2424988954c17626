// Batches become transactions; errors of the disk end the writing for good.
#include "daemon/store/sqlite_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "daemon/codec/event_codec.h"
#include "daemon/store/batch.h"
#include "daemon/store/schema.h"

namespace beamline::store {
namespace {

using ports::RunEvents;
using ports::RunRow;

// About 4 MB of log between checkpoints: shorter logs checkpoint the same pages more often, and a
// longer one makes a single checkpoint (5 ms for 16 MB) what the slowest commit in a hundred takes.
constexpr int kCheckpointFrames = 1000;
// A reader can keep a checkpoint from being complete; from here on the writer waits for readers.
constexpr int kRestartFrames = 16000;
// The log's file keeps this size after a reset: overwriting is cheaper to sync than growing.
constexpr int64_t kLogFileBytesMax = 64 << 20;
constexpr size_t kDecisionBytesMax = 256 << 20;
constexpr size_t kLiveMax = 1 << 18, kFlowsMax = 1 << 12;  // entries of the caches

absl::Status Annotate(const absl::Status& status, const std::string& what) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

absl::StatusOr<Fd> Lock(const std::string& directory) {
  const std::string path = directory + "/lock";
  absl::StatusOr<Fd> fd = OpenFile(path, O_RDWR | O_CREAT);
  if (!fd.ok()) return fd.status();
  if (flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FileError(errno, "lock", path);
    return absl::FailedPreconditionError(absl::StrCat("another beamlined uses ", directory,
                                                      "; stop it or choose another directory"));
  }
  return fd;
}

absl::Status Configure(Connection& db) {
  if (absl::Status s = db.Execute("PRAGMA synchronous = FULL; PRAGMA cache_size = -3000");
      !s.ok()) {
    return s;
  }
  if (absl::Status s = Migrate(db); !s.ok()) return s;
  return db.Execute(
      absl::StrCat("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = ", kLogFileBytesMax));
}

// Makes the database under another name first: a failing disk must not leave half of one.
absl::Status CreateIfMissing(const std::string& directory, const std::string& path,
                             const std::string& vfs) {
  struct stat st;
  if (stat(path.c_str(), &st) == 0) return absl::OkStatus();
  if (errno != ENOENT) return FileError(errno, "open", path);
  const std::string draft = path + ".new";
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) unlink((draft + suffix).c_str());
  {
    absl::StatusOr<Connection> db = Connection::Open(draft, Connection::Mode::kReadWrite, vfs);
    if (!db.ok()) return db.status();
    if (absl::Status s = Configure(*db); !s.ok()) return s;
  }
  if (rename(draft.c_str(), path.c_str()) != 0) return FileError(errno, "create", path);
  return SyncDirectory(directory);
}

// SQLite calls this after each commit with the length of the write-ahead log.
int CountFrames(void* frames, sqlite3*, const char*, int count) {
  *static_cast<int*>(frames) = count;
  return SQLITE_OK;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& directory,
                                                               const Options& options) {
  if (absl::Status s = MakeDirectory(directory); !s.ok()) return s;
  absl::StatusOr<Fd> lock = Lock(directory);
  if (!lock.ok()) return lock.status();
  const std::string path = directory + "/runs.db";
  const std::string what = "cannot open the store " + path;
  if (absl::Status s = CreateIfMissing(directory, path, options.vfs); !s.ok()) {
    return Annotate(s, what);
  }
  absl::StatusOr<Connection> db = Connection::Open(path, Connection::Mode::kReadWrite, options.vfs);
  if (!db.ok()) return Annotate(db.status(), what);
  if (absl::Status s = Configure(*db); !s.ok()) return Annotate(s, what);
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(*std::move(lock), *std::move(db), path, options));
  if (absl::Status s = store->Prepare(); !s.ok()) return Annotate(s, what);
  return store;
}

SqliteStore::SqliteStore(Fd lock, Connection db, std::string path, const Options& options)
    : lock_(std::move(lock)), db_(std::move(db)), readers_(std::move(path), options.vfs) {}

SqliteStore::~SqliteStore() {
  // What an error left behind is for the next start to judge: closing must not copy it.
  if (!broken_.ok()) sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

absl::Status SqliteStore::Prepare() {
  absl::StatusOr<Statement> begin = db_.Prepare("BEGIN IMMEDIATE");
  if (!begin.ok()) return begin.status();
  absl::StatusOr<Statement> commit = db_.Prepare("COMMIT");
  if (!commit.ok()) return commit.status();
  absl::StatusOr<LogWriter> log = LogWriter::Prepare(db_);
  if (!log.ok()) return log.status();
  absl::StatusOr<RunWriter> runs = RunWriter::Prepare(db_);
  if (!runs.ok()) return runs.status();
  absl::StatusOr<DeadLetterWriter> letters = DeadLetterWriter::Prepare(db_);
  if (!letters.ok()) return letters.status();
  absl::StatusOr<TaskWriter> tasks = TaskWriter::Prepare(db_);
  if (!tasks.ok()) return tasks.status();
  tasks_ = *std::move(tasks);
  begin_ = *std::move(begin);
  commit_ = *std::move(commit);
  log_ = *std::move(log);
  runs_ = *std::move(runs);
  letters_ = *std::move(letters);
  if (absl::Status s = LoadAwaited(); !s.ok()) return s;
  sqlite3_wal_hook(db_.get(), CountFrames, &wal_frames_);  // also ends automatic checkpoints
  wal_frames_checkpoint_ = kCheckpointFrames;
  return RunCheckpoint(SQLITE_CHECKPOINT_PASSIVE);  // of what the last process left
}

absl::Status SqliteStore::Append(absl::Span<const RunEvents> batch) {
  if (!broken_.ok()) return broken_;
  if (absl::Status s = CheckBatch(batch); !s.ok()) return s;
  if (batch.empty()) return absl::OkStatus();
  if (absl::Status s = BoundLog(); !s.ok()) return s;
  absl::Status status = Transact([&] {
    for (const RunEvents& events : batch) {
      if (absl::Status s = AppendRun(events); !s.ok()) return s;
    }
    return absl::OkStatus();
  });
  if (status.ok()) due_by_runs_ += owed_;
  owed_ = 0;
  if (!status.ok()) {
    // What the caches say may come from the transaction that is gone.
    for (const RunEvents& events : batch) live_.erase(events.id);
    flows_.clear();
  }
  return status;
}

absl::Status SqliteStore::AppendRun(const RunEvents& events) {
  const uint64_t last_seq = events.expected_seq + events.events.size();
  std::optional<RunRow> row;
  if (events.row) row = CompleteRow(events);
  for (const ports::FlowSource& flow : events.flows) {
    if (!flows_.insert(flow.digest).second) continue;
    if (absl::Status s = runs_.InsertFlow(flow); !s.ok()) return s;
  }
  absl::StatusOr<Live> live =
      events.expected_seq == 0 ? InsertRun(events, *row) : FindLive(events.id);
  if (!live.ok()) return live.status();
  if (live->last_seq != events.expected_seq) {
    return RunMoved(events.id, events.expected_seq, live->last_seq);
  }
  const std::string bytes = codec::EncodeEvents(events.events);
  if (bytes.size() > kDecisionBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a decision of ", bytes.size(), " bytes for run ", events.id.ToString()));
  }
  absl::Status inserted =
      log_.Insert(live->run_no, events.expected_seq + 1, events.events.size(), bytes);
  if (!inserted.ok()) return inserted;
  if (row && events.expected_seq != 0) {
    if (absl::Status s = runs_.Update(live->run_no, *row); !s.ok()) return s;
  }
  if (!events.key.empty()) {
    if (absl::Status s = runs_.SetKey(live->run_no, *row, events.key, events.key_hash); !s.ok())
      return s;
  }
  for (const ports::CacheEntry& entry : events.cached) {
    if (absl::Status s = runs_.SetCached(live->run_no, entry); !s.ok()) return s;
  }
  for (const run::DeadLetterChange& change : events.dead_letters) {
    if (absl::Status s = letters_.Apply(live->run_no, change); !s.ok()) return s;
  }
  if (absl::Status s = tasks_.Write(live->run_no, events.events); !s.ok()) return s;
  if (row && ports::IsFinished(row->status)) {
    live_.erase(events.id);
    return Owe(live->run_no, *row);
  }
  live_[events.id] = {live->run_no, last_seq};
  return absl::OkStatus();
}

absl::StatusOr<SqliteStore::Live> SqliteStore::FindLive(const run::RunId& id) {
  if (auto it = live_.find(id); it != live_.end()) return it->second;
  auto found = runs_.Find(id);
  if (!found.ok()) return found.status();
  if (!*found) return absl::AbortedError(absl::StrCat("there is no run ", id.ToString()));
  absl::StatusOr<uint64_t> last_seq = log_.LastSeq((*found)->run_no);
  if (!last_seq.ok()) return last_seq.status();
  return Live{(*found)->run_no, *last_seq};
}

absl::StatusOr<SqliteStore::Live> SqliteStore::InsertRun(const RunEvents& events,
                                                         const RunRow& row) {
  auto* start = std::get_if<run::RunStarted>(&events.events[0].fact);
  absl::StatusOr<int64_t> run_no = runs_.Insert(db_, row, start);
  if (absl::IsAlreadyExists(run_no.status())) {
    return absl::AbortedError(
        absl::StrCat("run ", events.id.ToString(),
                     " or its request id is there already: ", run_no.status().message()));
  }
  if (!run_no.ok()) return run_no.status();
  return Live{*run_no, 0};
}

absl::Status SqliteStore::Transact(const std::function<absl::Status()>& write) {
  if (live_.size() > kLiveMax) live_.clear();
  if (flows_.size() > kFlowsMax) flows_.clear();
  absl::Status status = begin_.Run();
  if (status.ok()) status = write();
  if (status.ok()) status = commit_.Run();
  if (status.ok()) return status;
  if (db_.in_transaction()) db_.Execute("ROLLBACK").IgnoreError();
  return Latch(status);
}

absl::Status SqliteStore::Latch(absl::Status status) {
  const bool fatal = !status.ok() && !absl::IsAborted(status) && !absl::IsInvalidArgument(status);
  if (fatal && broken_.ok()) broken_ = status;
  return status;
}

absl::Status SqliteStore::BoundLog() {
  if (wal_frames_ < wal_frames_checkpoint_) return absl::OkStatus();
  return RunCheckpoint(wal_frames_ < kRestartFrames ? SQLITE_CHECKPOINT_PASSIVE
                                                    : SQLITE_CHECKPOINT_RESTART);
}

absl::Status SqliteStore::RunCheckpoint(int mode) {
  int in_log = 0, copied = 0;
  const int code = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, mode, &in_log, &copied);
  // Busy: a reader needs the log. Tried again when it has grown by a quarter.
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return Latch(SqliteError(db_.get(), code));
  const bool complete = code == SQLITE_OK && in_log == copied;
  // A log that was copied completely starts anew with the next commit.
  wal_frames_ = complete ? 0 : std::max(in_log, 0);
  wal_frames_checkpoint_ = complete
                               ? kCheckpointFrames
                               : std::max(kCheckpointFrames, wal_frames_ + kCheckpointFrames / 4);
  return absl::OkStatus();
}

absl::Status SqliteStore::Checkpoint() {
  if (!broken_.ok()) return broken_;
  return RunCheckpoint(SQLITE_CHECKPOINT_PASSIVE);
}

absl::Status SqliteStore::DeleteRun(const run::RunId& id) {
  if (!broken_.ok()) return broken_;
  auto found = runs_.Find(id);
  if (!found.ok()) return Latch(found.status());
  if (!*found) return RunNotFound(id);
  if (!(*found)->finished) return RunNotFinished(id);
  live_.erase(id);
  return Transact([&] {
    if (absl::Status s = log_.DeleteRun((*found)->run_no); !s.ok()) return s;
    if (absl::Status s = letters_.DeleteRun((*found)->run_no); !s.ok()) return s;
    if (absl::Status s = tasks_.DeleteRun((*found)->run_no); !s.ok()) return s;
    return runs_.Delete((*found)->run_no);
  });
}

absl::StatusOr<std::vector<run::Event>> SqliteStore::Read(const run::RunId& id, uint64_t after_seq,
                                                          size_t bytes_max) const {
  constexpr uint64_t kSeqMax = std::numeric_limits<int64_t>::max() - 1;
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto found = SelectRun((*reader)->select_run, id);
  if (!found.ok()) return found.status();
  if (!*found) return RunNotFound(id);
  if (after_seq > kSeqMax) return std::vector<run::Event>();
  auto events = (*reader)->log.Read((*found)->run_no, after_seq, (*found)->row.last_seq, bytes_max);
  if (!events.ok()) return Annotate(events.status(), "run " + id.ToString());
  return events;
}

absl::Status SqliteStore::ReadUnfinished(
    const std::function<void(const RunRow&, absl::StatusOr<std::vector<run::Event>>)>& each) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto runs = UnfinishedRuns((*reader)->db);
  if (!runs.ok()) return runs.status();
  for (NumberedRun& run : *runs) {
    absl::StatusOr<std::vector<run::Event>> events = std::vector<run::Event>();
    if (run.row.status != ports::RunStatus::kWaiting) {
      events =
          (*reader)->log.Read(run.run_no, 0, run.row.last_seq, std::numeric_limits<size_t>::max());
    }
    if (events.ok() && !events->empty()) run.row.last_seq = events->back().seq;
    if (!events.ok()) events = Annotate(events.status(), "run " + run.row.id.ToString());
    each(run.row, std::move(events));
  }
  return absl::OkStatus();
}

absl::StatusOr<RunRow> SqliteStore::GetRun(const run::RunId& id) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto found = SelectRun((*reader)->select_run, id);
  if (!found.ok()) return found.status();
  if (!*found) return RunNotFound(id);
  absl::StatusOr<uint64_t> last_seq = (*reader)->log.LastSeq((*found)->run_no);
  if (!last_seq.ok()) return last_seq.status();
  (*found)->row.last_seq = std::max((*found)->row.last_seq, *last_seq);
  return std::move((*found)->row);
}

absl::StatusOr<std::vector<RunRow>> SqliteStore::ListRuns(const ports::RunQuery& query) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto runs = store::ListRuns((*reader)->db, query);
  if (!runs.ok()) return runs.status();
  std::vector<RunRow> rows;
  for (NumberedRun& run : *runs) {
    absl::StatusOr<uint64_t> last_seq = (*reader)->log.LastSeq(run.run_no);
    if (!last_seq.ok()) return last_seq.status();
    run.row.last_seq = std::max(run.row.last_seq, *last_seq);
    rows.push_back(std::move(run.row));
  }
  return rows;
}

absl::StatusOr<std::vector<run::RunId>> SqliteStore::FindRuns(const std::string& tenant,
                                                              const std::string& part) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::FindRuns((*reader)->db, tenant, part);
}

absl::StatusOr<std::optional<ports::EventStore::Request>> SqliteStore::FindRequest(
    const std::string& tenant, const std::string& request_id) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::FindRequest((*reader)->db, tenant, request_id);
}

absl::StatusOr<std::optional<ports::EventStore::Keyed>> SqliteStore::FindKey(
    const std::string& tenant, const std::string& flow_name, const std::string& key) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::FindKey((*reader)->db, tenant, flow_name, key);
}

absl::StatusOr<std::vector<run::RunId>> SqliteStore::FindKeyed(const std::string& tenant,
                                                               const std::string& key) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::FindKeyed((*reader)->db, tenant, key);
}

absl::StatusOr<std::optional<ports::EventStore::Cached>> SqliteStore::FindCached(
    const std::string& tenant, const std::string& key) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::FindCached((*reader)->db, tenant, key);
}

absl::StatusOr<std::vector<ports::DeadLetterRow>> SqliteStore::ListDeadLetters(
    const ports::DeadLetterQuery& query) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return SelectDeadLetters((*reader)->db, query);
}

absl::StatusOr<uint64_t> SqliteStore::CountDeadLetters(const std::string& tenant,
                                                       uint64_t max) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::CountDeadLetters((*reader)->db, tenant, max);
}

absl::StatusOr<ports::DeadLetterRow> SqliteStore::GetDeadLetter(const std::string& tenant,
                                                                uint64_t number) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto row = SelectDeadLetter((*reader)->db, tenant, number);
  if (!row.ok()) return row.status();
  if (!*row) return DeadLetterNotFound(number);
  return **std::move(row);
}

absl::StatusOr<ports::FlowSource> SqliteStore::GetFlow(const std::string& digest) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto flow = SelectFlow((*reader)->db, digest);
  if (!flow.ok()) return flow.status();
  if (!*flow) return absl::NotFoundError("no flow with the digest " + digest);
  return **std::move(flow);
}

absl::StatusOr<std::vector<ports::TaskRow>> SqliteStore::ListTasks(
    const ports::TaskQuery& query) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::ListTasks((*reader)->db, query);
}

absl::StatusOr<uint64_t> SqliteStore::CountTasks(const std::string& tenant) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::CountTasks((*reader)->db, tenant);
}

absl::StatusOr<ports::TaskRow> SqliteStore::GetTask(const std::string& tenant,
                                                    uint64_t task) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return FindTask((*reader)->db, tenant, task);
}

absl::StatusOr<uint64_t> SqliteStore::LastTask() const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return store::LastTask((*reader)->db);
}

}  // namespace beamline::store
