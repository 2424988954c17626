// Read-only connections to the store's database, lent to one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "daemon/ports/mutex.h"
#include "daemon/store/log_table.h"
#include "daemon/store/run_table.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// A connection inside a read transaction: it sees one state of the database while it is lent.
struct Reader {
  Connection db;
  Statement begin, commit, select_run;
  LogReader log;
};

// Thread-safe.
class ReaderPool {
 public:
  ReaderPool(std::string path, std::string vfs) : path_(std::move(path)), vfs_(std::move(vfs)) {}

  // Gives the reader back when destroyed.
  class Lease {
   public:
    Lease(ReaderPool* pool, std::unique_ptr<Reader> reader)
        : pool_(pool), reader_(std::move(reader)) {}
    Lease(Lease&&) = default;
    ~Lease();
    Reader* operator->() const { return reader_.get(); }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Reader> reader_;
  };
  // Never waits: makes another connection if all are lent. Errors: SqliteError.
  absl::StatusOr<Lease> Lend();

 private:
  void Return(std::unique_ptr<Reader> reader);

  const std::string path_, vfs_;
  ports::Mutex mu_;
  std::vector<std::unique_ptr<Reader>> idle_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::store
