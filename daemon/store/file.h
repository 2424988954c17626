// Files and directories through POSIX, with statuses that say which path and why.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::store {

// Owns a file descriptor; -1 is none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// "cannot <what> <path>: <reason of `error`>" with the code that the ports promise: NotFound,
// PermissionDenied, ResourceExhausted (ENOSPC, EDQUOT, EMFILE), FailedPrecondition, else DataLoss.
absl::Status FileError(int error, const char* what, const std::string& path);

// Opens with O_CLOEXEC; files are created 0600.
absl::StatusOr<Fd> OpenFile(const std::string& path, int flags);
// For reading. FailedPrecondition: not a regular file (which is not waited for, like a pipe).
absl::StatusOr<Fd> OpenRegularFile(const std::string& path);
absl::Status FileTooLarge(const std::string& path, uint64_t bytes_max);  // ResourceExhausted
// Writes all of `bytes` at the descriptor's position.
absl::Status WriteAll(const Fd& fd, std::string_view bytes, const std::string& path);
// Reads at most `bytes_max` bytes at `offset`; fewer only at the end of the file.
absl::StatusOr<std::string> ReadAt(const Fd& fd, uint64_t offset, size_t bytes_max,
                                   const std::string& path);
// On disk: the file's content, or a directory's entries.
absl::Status SyncFile(const Fd& fd, const std::string& path);
absl::Status SyncDirectory(const std::string& path);
// Creates `path` and missing parents, 0700. An existing directory is left as it is.
absl::Status MakeDirectory(const std::string& path);

}  // namespace beamline::store
