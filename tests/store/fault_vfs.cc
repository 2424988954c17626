// Files go through to the default VFS; what was written is kept besides, in order.
#include "fault_vfs.h"

#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace beamline::store {

// What SQLite holds of an open file; the real one follows it in memory.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* owner;
  std::string* name;  // null: not recorded (shared memory, temporary files)
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

namespace {

constexpr uint64_t kSectorBytes = 512;

std::string LastPart(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

void WriteInto(std::string* content, uint64_t offset, const std::string& bytes) {
  if (content->size() < offset + bytes.size()) content->resize(offset + bytes.size());
  content->replace(offset, bytes.size(), bytes);
}

}  // namespace

struct Methods {
  using File = FaultVfs::File;
  using Operation = FaultVfs::Operation;

  static FaultVfs* Owner(sqlite3_vfs* vfs) { return static_cast<FaultVfs*>(vfs->pAppData); }
  static File* Of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
  static sqlite3_file* Real(sqlite3_file* file) { return Of(file)->real(); }

  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* out, int flags, int* granted) {
    File* file = Of(out);
    file->owner = Owner(vfs);
    file->name = nullptr;
    file->base.pMethods = nullptr;
    sqlite3_vfs* real = file->owner->real_;
    const int code = real->xOpen(real, path, file->real(), flags, granted);
    if (code != SQLITE_OK) return code;
    file->base.pMethods = &kIo;
    if (path != nullptr && (flags & SQLITE_OPEN_READWRITE) != 0) {
      file->name = new std::string(LastPart(path));
      file->owner->Adopt(*file->name, path);
    }
    return code;
  }

  static int Close(sqlite3_file* f) {
    delete Of(f)->name;
    return Real(f)->pMethods->xClose(Real(f));
  }

  static int Write(sqlite3_file* f, const void* data, int size, sqlite3_int64 offset) {
    File* file = Of(f);
    FaultVfs* owner = file->owner;
    std::string bytes(static_cast<const char*>(data), size);
    int code = SQLITE_OK;
    if (file->name != nullptr && owner->FailsNow()) {
      code = owner->fault_ == FaultVfs::Fault::kIoError ? SQLITE_IOERR_WRITE : SQLITE_FULL;
      bytes.resize(owner->fault_ == FaultVfs::Fault::kShortWrite ? bytes.size() / 2 : 0);
    }
    if (file->name != nullptr && !bytes.empty()) {
      owner->Record({Operation::kWrite, *file->name, static_cast<uint64_t>(offset), bytes});
    }
    const int written =
        Real(f)->pMethods->xWrite(Real(f), bytes.data(), static_cast<int>(bytes.size()), offset);
    return code != SQLITE_OK ? code : written;
  }

  static int Truncate(sqlite3_file* f, sqlite3_int64 size) {
    File* file = Of(f);
    if (file->name != nullptr) {
      if (file->owner->FailsNow()) return SQLITE_IOERR_TRUNCATE;
      file->owner->Record({Operation::kTruncate, *file->name, static_cast<uint64_t>(size), ""});
    }
    return Real(f)->pMethods->xTruncate(Real(f), size);
  }

  static int Sync(sqlite3_file* f, int flags) {
    File* file = Of(f);
    if (file->name != nullptr && !file->owner->ignore_syncs_) {
      const bool fails = file->owner->FailsNow();
      file->owner->Record({fails ? Operation::kFailedSync : Operation::kSync, *file->name, 0, ""});
      if (fails) return SQLITE_IOERR_FSYNC;
    }
    return Real(f)->pMethods->xSync(Real(f), flags);
  }

  static int Delete(sqlite3_vfs* vfs, const char* path, int sync_directory) {
    FaultVfs* owner = Owner(vfs);
    const int code = owner->real_->xDelete(owner->real_, path, sync_directory);
    if (code == SQLITE_OK) owner->Record({Operation::kDelete, LastPart(path), 0, ""});
    return code;
  }

  // All else is the real file's business.
  static int Read(sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
    return Real(f)->pMethods->xRead(Real(f), to, size, offset);
  }
  static int FileSize(sqlite3_file* f, sqlite3_int64* size) {
    return Real(f)->pMethods->xFileSize(Real(f), size);
  }
  static int Lock(sqlite3_file* f, int level) { return Real(f)->pMethods->xLock(Real(f), level); }
  static int Unlock(sqlite3_file* f, int level) {
    return Real(f)->pMethods->xUnlock(Real(f), level);
  }
  static int CheckReserved(sqlite3_file* f, int* out) {
    return Real(f)->pMethods->xCheckReservedLock(Real(f), out);
  }
  static int FileControl(sqlite3_file* f, int operation, void* argument) {
    return Real(f)->pMethods->xFileControl(Real(f), operation, argument);
  }
  static int SectorSize(sqlite3_file* f) { return Real(f)->pMethods->xSectorSize(Real(f)); }
  static int Characteristics(sqlite3_file* f) {
    return Real(f)->pMethods->xDeviceCharacteristics(Real(f));
  }
  static int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return Real(f)->pMethods->xShmMap(Real(f), page, size, extend, out);
  }
  static int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
    return Real(f)->pMethods->xShmLock(Real(f), offset, n, flags);
  }
  static void ShmBarrier(sqlite3_file* f) { Real(f)->pMethods->xShmBarrier(Real(f)); }
  static int ShmUnmap(sqlite3_file* f, int remove) {
    return Real(f)->pMethods->xShmUnmap(Real(f), remove);
  }

  static constexpr sqlite3_io_methods kIo = {2,
                                             Close,
                                             Read,
                                             Write,
                                             Truncate,
                                             Sync,
                                             FileSize,
                                             Lock,
                                             Unlock,
                                             CheckReserved,
                                             FileControl,
                                             SectorSize,
                                             Characteristics,
                                             ShmMap,
                                             ShmLock,
                                             ShmBarrier,
                                             ShmUnmap,
                                             nullptr,
                                             nullptr};
};

FaultVfs::FaultVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  static std::atomic<int> next{0};
  name_ = absl::StrCat("fault-", next++);
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_.xOpen = Methods::Open;
  vfs_.xDelete = Methods::Delete;
  vfs_.xAccess = [](sqlite3_vfs* v, const char* path, int flags, int* out) {
    sqlite3_vfs* real = Methods::Owner(v)->real_;
    return real->xAccess(real, path, flags, out);
  };
  vfs_.xFullPathname = [](sqlite3_vfs* v, const char* path, int size, char* out) {
    sqlite3_vfs* real = Methods::Owner(v)->real_;
    return real->xFullPathname(real, path, size, out);
  };
  sqlite3_vfs_register(&vfs_, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }

void FaultVfs::FailAt(size_t n, Fault fault) {
  armed_ = true;
  failed_ = false;
  calls_left_ = n;
  fault_ = fault;
}

bool FaultVfs::FailsNow() {
  if (!armed_ || calls_left_-- > 0) return false;
  armed_ = false;
  failed_ = true;
  return true;
}

void FaultVfs::Adopt(const std::string& name, const std::string& path) {
  for (const Operation& o : operations_) {
    if (o.file == name) return;
  }
  std::ifstream in(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (content.empty()) return;
  Record({Operation::kAppear, name, 0, content});
}

void FaultVfs::Record(Operation operation) { operations_.push_back(std::move(operation)); }

std::map<std::string, std::string> FaultVfs::Crash(size_t operations, Survival survival,
                                                   std::mt19937_64& random) const {
  struct Pending {
    const Operation* operation;
    bool lost = false;  // a failed sync: the kernel will not write it any more
  };
  std::map<std::string, std::string> files;
  std::map<std::string, std::vector<Pending>> pending;
  auto apply = [&](const Operation& o) {
    if (o.kind == Operation::kWrite) WriteInto(&files[o.file], o.offset, o.bytes);
    if (o.kind == Operation::kTruncate) files[o.file].resize(o.offset);
  };
  for (size_t i = 0; i < operations; ++i) {
    const Operation& o = operations_[i];
    std::vector<Pending>& waiting = pending[o.file];
    switch (o.kind) {
      case Operation::kWrite:
      case Operation::kTruncate:
        waiting.push_back({&o});
        break;
      case Operation::kSync:
        for (const Pending& p : waiting) {
          if (!p.lost) apply(*p.operation);
        }
        std::erase_if(waiting, [](const Pending& p) { return !p.lost; });
        files.try_emplace(o.file);
        break;
      case Operation::kFailedSync:
        for (Pending& p : waiting) p.lost = true;
        break;
      case Operation::kAppear:
        files[o.file] = o.bytes;
        break;
      case Operation::kDelete:
        files.erase(o.file);
        waiting.clear();
        break;
    }
  }
  for (const auto& [file, waiting] : pending) {
    for (const Pending& p : waiting) {
      if (survival == Survival::kNone) continue;
      if (survival != Survival::kAll && random() % 2 == 0) continue;
      Operation o = *p.operation;
      if (survival == Survival::kTorn && o.kind == Operation::kWrite && random() % 2 == 0) {
        const uint64_t sectors = (o.bytes.size() + kSectorBytes - 1) / kSectorBytes;
        o.bytes.resize(std::min<uint64_t>(o.bytes.size(), random() % sectors * kSectorBytes));
      }
      apply(o);
    }
  }
  return files;
}

}  // namespace beamline::store
