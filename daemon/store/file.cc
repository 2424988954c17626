// System calls, each with its errno made a status.
#include "daemon/store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace beamline::store {

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

absl::Status FileError(int error, const char* what, const std::string& path) {
  const std::string message = absl::StrCat("cannot ", what, " ", path, ": ", strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EEXIST:
      return absl::FailedPreconditionError(message);
    default:
      return absl::DataLossError(message);
  }
}

absl::StatusOr<Fd> OpenFile(const std::string& path, int flags) {
  Fd fd(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0600));
  if (!fd) return FileError(errno, "open", path);
  return fd;
}

absl::StatusOr<Fd> OpenRegularFile(const std::string& path) {
  absl::StatusOr<Fd> file = OpenFile(path, O_RDONLY | O_NONBLOCK);
  if (!file.ok()) return file.status();
  struct stat st;
  if (fstat(file->get(), &st) != 0) return FileError(errno, "look at", path);
  if (!S_ISREG(st.st_mode)) return absl::FailedPreconditionError(path + " is not a regular file");
  return file;
}

absl::Status FileTooLarge(const std::string& path, uint64_t bytes_max) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path, " is larger than the ", bytes_max, " bytes that are allowed"));
}

absl::Status WriteAll(const Fd& fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    ssize_t n = write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, "write", path);
    bytes.remove_prefix(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAt(const Fd& fd, uint64_t offset, size_t bytes_max,
                                   const std::string& path) {
  std::string bytes(bytes_max, '\0');
  size_t have = 0;
  while (have < bytes_max) {
    ssize_t n =
        pread(fd.get(), bytes.data() + have, bytes_max - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, "read", path);
    if (n == 0) break;
    have += n;
  }
  bytes.resize(have);
  return bytes;
}

absl::Status SyncFile(const Fd& fd, const std::string& path) {
  // Never tried again: after a failed fsync the kernel has marked the pages clean.
  if (fdatasync(fd.get()) != 0) return FileError(errno, "sync", path);
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return FileError(errno, "open", path);
  if (fsync(fd.get()) != 0) return FileError(errno, "sync", path);
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return FileError(errno, "create directory", part);
    }
    if (slash == path.npos) break;
  }
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return FileError(errno, "open", path);
  if (!S_ISDIR(st.st_mode)) return FileError(ENOTDIR, "use", path);
  return absl::OkStatus();
}

}  // namespace beamline::store
