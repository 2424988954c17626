// Credentials by SO_PEERCRED: those of the process that connected.
#include "daemon/rpc/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace beamline::rpc {
namespace {

constexpr uid_t kNobody = static_cast<uid_t>(-1);  // no user has this number

// The inode of the socket `fd`; 0 if it is no open socket.
ino_t SocketInode(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

}  // namespace

absl::StatusOr<int> Peers::Admit(int fd) {
  const auto refuse = [fd](absl::Status status) {
    close(fd);
    return status;
  };
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return refuse(
        absl::PermissionDeniedError(absl::StrCat("cannot tell who connects: ", strerror(errno))));
  }
  if (credentials.uid != geteuid() && credentials.uid != 0) {
    return refuse(absl::PermissionDeniedError(
        absl::StrCat("user ", credentials.uid, " (pid ", credentials.pid, ") may not connect")));
  }
  return Take(fd, credentials.uid);
}

absl::StatusOr<int> Peers::AdmitAnyone(int fd) { return Take(fd, kNobody); }

absl::StatusOr<int> Peers::Take(int fd, uid_t uid) {
  const auto refuse = [fd](absl::Status status) {
    close(fd);
    return status;
  };
  ports::MutexLock lock(&mu_);
  if (peers_.size() >= static_cast<size_t>(range_) / 2) ForgetClosed();
  if (peers_.size() >= static_cast<size_t>(range_) / 2) {
    return refuse(absl::ResourceExhaustedError(
        absl::StrCat("too many connections: ", peers_.size(), " are open")));
  }
  const int number = fcntl(fd, F_DUPFD_CLOEXEC, next_);
  if (number < 0) {
    return refuse(absl::ResourceExhaustedError(absl::StrCat("no descriptor: ", strerror(errno))));
  }
  close(fd);
  next_ = number + 1 >= first_ + range_ ? first_ : number + 1;
  fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK);
  peers_[number] = {uid, SocketInode(number)};
  return number;
}

std::optional<uid_t> Peers::Find(std::string_view peer) const {
  absl::string_view number(peer.data(), peer.size());
  int fd = -1;
  if (!absl::ConsumePrefix(&number, "fd:") || !absl::SimpleAtoi(number, &fd)) return std::nullopt;
  ports::MutexLock lock(&mu_);
  const auto found = peers_.find(fd);
  if (found == peers_.end()) return std::nullopt;
  return found->second.uid;
}

size_t Peers::Connected() {
  ports::MutexLock lock(&mu_);
  ForgetClosed();
  return peers_.size();
}

void Peers::ForgetClosed() {
  absl::erase_if(peers_,
                 [](const auto& entry) { return SocketInode(entry.first) != entry.second.inode; });
}

}  // namespace beamline::rpc
