// Binding, accepting, removing.
#include "daemon/rpc/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::rpc {
namespace {

constexpr int kBacklog = 512;

absl::Status SystemError(int error, const std::string& what) {
  return absl::ErrnoToStatus(error, what);
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// The directory must not let others put a socket of theirs in the place of ours.
absl::Status PrepareDirectory(const std::string& directory) {
  struct stat info;
  if (lstat(directory.c_str(), &info) != 0) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(directory).parent_path(), error);
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return SystemError(errno, absl::StrCat("cannot create ", directory));
    }
    if (lstat(directory.c_str(), &info) != 0) {
      return SystemError(errno, absl::StrCat("cannot use ", directory));
    }
  }
  const bool ours = info.st_uid == geteuid() || info.st_uid == 0;
  const bool open = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (info.st_mode & S_ISVTX) == 0;
  if (S_ISDIR(info.st_mode) && ours && !open) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      directory, " is not a directory that only you can write to; name another --socket"));
}

// Removes what a dead daemon left at `path`.
absl::Status ClearPath(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus()
                           : SystemError(errno, absl::StrCat("cannot look at ", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " exists and is no socket; name another --socket"));
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return SystemError(errno, "cannot make a socket");
  const sockaddr_un address = AddressOf(path);
  const int connected =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(probe);
  // EAGAIN: somebody listens whose backlog is full.
  if (connected == 0 || error == EAGAIN) {
    return absl::AlreadyExistsError(absl::StrCat("another beamlined is listening on ", path,
                                                 "; stop it, or name another --socket"));
  }
  if (error != ECONNREFUSED) return SystemError(error, absl::StrCat("cannot use ", path));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return SystemError(errno, absl::StrCat("cannot replace the dead socket ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Bind(const std::string& path) {
  constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kPathBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the socket's path has ", path.size(),
                                                   " bytes, but the system allows ", kPathBytesMax,
                                                   ": ", path, "; name a shorter --socket"));
  }
  const std::string directory = path.substr(0, std::max<size_t>(1, path.rfind('/')));
  if (absl::Status status = PrepareDirectory(directory); !status.ok()) return status;
  if (absl::Status status = ClearPath(path); !status.ok()) return status;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return SystemError(errno, "cannot make a socket");
  const sockaddr_un address = AddressOf(path);
  const mode_t before = umask(0177);  // there is no moment in which others may connect
  int error = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ? errno : 0;
  umask(before);
  struct stat info {};
  if (error == 0 && (listen(fd, kBacklog) != 0 || stat(path.c_str(), &info) != 0)) error = errno;
  const int wake_fd = error == 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
  if (error == 0 && wake_fd < 0) error = errno;
  if (error != 0) {
    close(fd);
    return SystemError(error, absl::StrCat("cannot listen on ", path));
  }
  return std::unique_ptr<Listener>(new Listener(fd, wake_fd, path, info.st_dev, info.st_ino));
}

Listener::Listener(int fd, int wake_fd, std::string where, dev_t device, ino_t inode)
    : fd_(fd), wake_fd_(wake_fd), where_(std::move(where)), device_(device), inode_(inode) {}

Listener::~Listener() {
  Close();
  close(wake_fd_);
}

absl::StatusOr<std::optional<int>> Listener::Accept(absl::Duration wait) {
  pollfd fds[] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  const int64_t wait_ms =
      std::clamp<int64_t>(absl::ToInt64Milliseconds(wait), 0, std::numeric_limits<int>::max());
  poll(fds, 2, static_cast<int>(wait_ms));
  if (fds[1].revents != 0 || fds[0].revents == 0) return std::nullopt;
  const int connection = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection >= 0) return connection;
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot accept a connection: ", strerror(errno)));
  }
  return std::nullopt;  // gone before it was accepted
}

void Listener::Interrupt() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
}

void Listener::Close() {
  if (fd_ < 0) return;
  struct stat info;
  const bool ours = inode_ != 0 && stat(where_.c_str(), &info) == 0 && info.st_dev == device_ &&
                    info.st_ino == inode_;
  if (ours) unlink(where_.c_str());
  close(fd_);
  fd_ = -1;
}

}  // namespace beamline::rpc
