// Connections are made when needed and kept while they may be needed again.
#include "daemon/store/reader_pool.h"

namespace beamline::store {
namespace {

// As many as threads of the daemon read at once: one costs up to 1 MB of page cache, and to open
// one takes longer than most of what is asked.
constexpr size_t kIdleMax = 6;

absl::StatusOr<std::unique_ptr<Reader>> OpenReader(const std::string& path,
                                                   const std::string& vfs) {
  absl::StatusOr<Connection> db = Connection::Open(path, Connection::Mode::kReadOnly, vfs);
  if (!db.ok()) return db.status();
  if (absl::Status s = db->Execute("PRAGMA cache_size = -1000"); !s.ok()) return s;
  absl::StatusOr<Statement> begin = db->Prepare("BEGIN");
  if (!begin.ok()) return begin.status();
  absl::StatusOr<Statement> commit = db->Prepare("COMMIT");
  if (!commit.ok()) return commit.status();
  absl::StatusOr<Statement> select_run = PrepareSelectRun(*db);
  if (!select_run.ok()) return select_run.status();
  absl::StatusOr<LogReader> log = LogReader::Prepare(*db);
  if (!log.ok()) return log.status();
  std::unique_ptr<Reader> reader(new Reader{*std::move(db), *std::move(begin), *std::move(commit),
                                            *std::move(select_run), *std::move(log)});
  return reader;
}

}  // namespace

ReaderPool::Lease::~Lease() {
  if (reader_ != nullptr) pool_->Return(std::move(reader_));
}

absl::StatusOr<ReaderPool::Lease> ReaderPool::Lend() {
  std::unique_ptr<Reader> reader;
  {
    ports::MutexLock lock(&mu_);
    if (!idle_.empty()) {
      reader = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (reader == nullptr) {
    absl::StatusOr<std::unique_ptr<Reader>> opened = OpenReader(path_, vfs_);
    if (!opened.ok()) return opened.status();
    reader = *std::move(opened);
  }
  if (absl::Status s = reader->begin.Run(); !s.ok()) return s;
  return Lease(this, std::move(reader));
}

void ReaderPool::Return(std::unique_ptr<Reader> reader) {
  // A reader that cannot end its transaction is closed, which ends it.
  if (!reader->commit.Run().ok()) return;
  ports::MutexLock lock(&mu_);
  if (idle_.size() < kIdleMax) idle_.push_back(std::move(reader));
}

}  // namespace beamline::store
