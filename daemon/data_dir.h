// The data directory: private to one user, and to one daemon at a time.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace beamline::daemon {

class DataDirLock {
 public:
  // Creates `directory` (0700) where it is missing, takes group and others their rights to it, and
  // locks it by <directory>/beamlined.lock, which then holds this process's id.
  // Errors: AlreadyExists, another daemon uses it; PermissionDenied, it is another user's or not
  //         writable; ResourceExhausted, the disk is full; and others, as the system says.
  static absl::StatusOr<DataDirLock> Acquire(const std::string& directory);
  DataDirLock(DataDirLock&& other) noexcept;
  DataDirLock& operator=(DataDirLock&&) = delete;
  ~DataDirLock();  // as Release

  void Release();

 private:
  explicit DataDirLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace beamline::daemon
