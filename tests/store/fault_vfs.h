// A SQLite VFS over the default one that remembers every write, so that a test can build the files
// as a power failure would have left them, and that can make any single call fail.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace beamline::store {

class FaultVfs {
 public:
  // Registered under name() while it lives.
  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  const std::string& name() const { return name_; }

  // Power failure: what survives of the writes that were not synced.
  enum class Survival { kNone, kAll, kRandom, kTorn };
  // The files (by the last part of their path) after the first `operations` recorded ones. kTorn:
  // like kRandom, and writes may survive in part, cut at a sector of 512 bytes.
  std::map<std::string, std::string> Crash(size_t operations, Survival survival,
                                           std::mt19937_64& random) const;
  size_t operations() const { return operations_.size(); }

  // A disk (or a setting) that does not sync: the planted bug.
  void IgnoreSyncs() { ignore_syncs_ = true; }

  // The `n`-th write, sync or truncate from now on (0 = the next) fails, once.
  enum class Fault { kIoError, kDiskFull, kShortWrite };
  void FailAt(size_t n, Fault fault);
  bool failed() const { return failed_; }

 private:
  struct Operation {
    enum Kind { kWrite, kTruncate, kSync, kFailedSync, kAppear, kDelete } kind;
    std::string file;
    uint64_t offset = 0;  // kTruncate: the new size
    std::string bytes;
  };
  struct File;
  friend struct Methods;

  // Whether this call is the one that fails.
  bool FailsNow();
  // A file that came by a rename begins as it is, whole: it was synced under its other name, and
  // the directory was.
  void Adopt(const std::string& name, const std::string& path);
  void Record(Operation operation);

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::string name_;
  std::vector<Operation> operations_;
  bool ignore_syncs_ = false, armed_ = false, failed_ = false;
  size_t calls_left_ = 0;
  Fault fault_ = Fault::kIoError;
};

}  // namespace beamline::store
