// Locking by flock(2): the kernel lets go of it whatever ends the process.
#include "daemon/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace beamline::daemon {
namespace {

absl::Status SystemError(int error, const std::string& what) {
  return absl::ErrnoToStatus(error, what);
}

absl::Status Prepare(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(directory).parent_path(), error);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError(errno, absl::StrCat("cannot create the data directory ", directory));
  }
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) {
    return SystemError(errno, absl::StrCat("cannot use the data directory ", directory));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(directory, " is not a directory"));
  }
  if (info.st_uid != geteuid()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the data directory ", directory, " belongs to user ", info.st_uid, ", this is user ",
        geteuid(), "; start beamlined as its owner, or name another --data-dir"));
  }
  if ((info.st_mode & 077) != 0 && chmod(directory.c_str(), 0700) != 0) {
    return SystemError(errno, absl::StrCat("cannot make ", directory, " private"));
  }
  return absl::OkStatus();
}

absl::Status InUse(int fd, const std::string& directory) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  const std::string pid(absl::StripAsciiWhitespace(text));
  return absl::AlreadyExistsError(absl::StrCat(
      "another beamlined", size > 0 ? absl::StrCat(" (pid ", pid, ")") : "", " is using ",
      directory, "; `beamline daemon stop` ends it, or name another --data-dir"));
}

}  // namespace

absl::StatusOr<DataDirLock> DataDirLock::Acquire(const std::string& directory) {
  if (absl::Status status = Prepare(directory); !status.ok()) return status;
  const std::string path = directory + "/beamlined.lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return SystemError(errno, absl::StrCat("cannot open ", path));
  DataDirLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return InUse(fd, directory);
    return SystemError(errno, absl::StrCat("cannot lock ", path));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return SystemError(errno, absl::StrCat("cannot write ", path));
  }
  return lock;
}

DataDirLock::DataDirLock(DataDirLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
DataDirLock::~DataDirLock() { Release(); }

void DataDirLock::Release() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

}  // namespace beamline::daemon
