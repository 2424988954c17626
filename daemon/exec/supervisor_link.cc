// A message waits in memory while the socket is full; its descriptors wait with it.
#include "daemon/exec/supervisor_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/exec/file_limit.h"

namespace beamline::exec {
namespace {

constexpr int kSupervisorSocket = 3, kSupervisorLock = 4;
constexpr int kPredecessorMs = 15'000;  // a supervisor gives up after 10 s

// Takes the lock of the supervisor that is to start, as a descriptor above those it gets.
absl::StatusOr<int> AwaitLock(const std::string& path) {
  const int opened = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  const int fd = fcntl(opened, F_DUPFD_CLOEXEC, kSupervisorLock + 1);
  if (fd < 0) {
    absl::Status status =
        absl::UnavailableError(absl::StrCat("cannot open ", path, ": ", strerror(errno)));
    close(opened);
    return status;
  }
  close(opened);
  for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; ++waited_ms) {
    if (waited_ms == kPredecessorMs) {
      close(fd);
      return absl::UnavailableError(absl::StrCat(
          "steps of a beamlined that was killed are still ending; ", path, " is held by them"));
    }
    usleep(1000);
  }
  return fd;
}

// The supervisor gets nothing of the daemon's environment but what it may need to be loaded (and
// what sanitizers read).
std::vector<char*> LoaderEnvironment() {
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view text = *variable;
    if (absl::StartsWith(text, "LD_LIBRARY_PATH=") || absl::StrContains(text, "SAN_OPTIONS=")) {
      environment.push_back(*variable);
    }
  }
  environment.push_back(nullptr);
  return environment;
}

// Runs `command` with `socket` as descriptor 3 and `lock` as 4; returns an errno.
int Launch(const std::vector<std::string>& command, int socket, int lock, pid_t* pid) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, kSupervisorSocket);
  posix_spawn_file_actions_adddup2(&actions, lock, kSupervisorLock);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const int error =
      posix_spawn(pid, argv[0], &actions, nullptr, argv.data(), LoaderEnvironment().data());
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Waits for `pid` for at most `wait_ms`; kills it then.
void WaitOrKill(pid_t pid, int wait_ms) {
  for (int waited_ms = 0; waited_ms < wait_ms; ++waited_ms) {
    if (waitpid(pid, nullptr, WNOHANG) != 0) return;
    usleep(1000);
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

}  // namespace

SupervisorLink::SupervisorLink(uv_loop_t* loop, std::vector<std::string> command,
                               std::string lock_path, std::function<void(const Reply&)> reply,
                               std::function<void()> lost)
    : loop_(loop),
      command_(std::move(command)),
      lock_path_(std::move(lock_path)),
      reply_(std::move(reply)),
      lost_(std::move(lost)) {}

SupervisorLink::~SupervisorLink() { Close(); }

absl::Status SupervisorLink::Connect() {
  if (socket_ >= 0) return absl::OkStatus();
  const absl::StatusOr<int> lock = AwaitLock(lock_path_);
  if (!lock.ok()) return lock.status();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    close(*lock);
    return absl::UnavailableError(absl::StrCat("no socket for the supervisor: ", strerror(errno)));
  }
  const int error = Launch(command_, ends[1], *lock, &pid_);
  close(ends[1]);
  close(*lock);  // from here on it is the supervisor's
  if (error != 0) {
    close(ends[0]);
    return absl::UnavailableError(
        absl::StrCat("cannot run the supervisor ", command_.front(), ": ", strerror(error)));
  }
  RestoreFileLimit(pid_);
  socket_ = ends[0];
  poll_ = new uv_poll_t;
  uv_poll_init(loop_, poll_, socket_);
  poll_->data = this;
  Watch();
  return absl::OkStatus();
}

void SupervisorLink::Spawn(uint64_t key, const SpawnRequest& spawn, std::array<int, 3> fds) {
  Send({.bytes = EncodeSpawn(key, spawn), .fds = {fds.begin(), fds.end()}});
}

void SupervisorLink::Signal(RequestKind kind, uint64_t key) {
  Send({.bytes = EncodeSignal(kind, key)});
}

void SupervisorLink::Send(Outgoing message) {
  queue_.push_back(std::move(message));
  if (queue_.size() == 1) Flush();
}

// A peer that is gone shows up as the end of what it sends, not here: its last replies still count.
void SupervisorLink::Flush() {
  while (!queue_.empty()) {
    Outgoing& first = queue_.front();
    const ssize_t n = SendBytes(socket_, first.bytes.data() + first.sent,
                                first.bytes.size() - first.sent, first.fds);
    if (n == 0) break;
    for (int fd : first.fds) close(fd);
    first.fds.clear();
    first.sent = n < 0 ? first.bytes.size() : first.sent + n;
    if (first.sent == first.bytes.size()) queue_.pop_front();
  }
  Watch();
}

void SupervisorLink::Watch() {
  const int wanted = queue_.empty() ? UV_READABLE : UV_READABLE | UV_WRITABLE;
  if (wanted == watched_) return;
  watched_ = wanted;
  uv_poll_start(poll_, wanted, [](uv_poll_t* poll, int status, int events) {
    static_cast<SupervisorLink*>(poll->data)->OnEvent(status, events);
  });
}

void SupervisorLink::OnEvent(int status, int events) {
  if (status == 0 && (events & UV_WRITABLE) != 0) Flush();
  if (status < 0 || (events & UV_READABLE) != 0) Receive();
}

void SupervisorLink::Receive() {
  char block[128 * sizeof(Reply)];
  const ssize_t n = recv(socket_, block, sizeof block, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return Lose();
  received_.append(block, n);
  size_t at = 0;
  for (; received_.size() - at >= sizeof(Reply); at += sizeof(Reply)) {
    Reply reply;
    memcpy(&reply, received_.data() + at, sizeof reply);
    reply_(reply);
    if (socket_ < 0) return;  // that was the last one, and it closed this link
  }
  received_.erase(0, at);
}

void SupervisorLink::Lose() {
  const pid_t pid = pid_;
  Disconnect();
  WaitOrKill(pid, 0);
  lost_();
}

void SupervisorLink::Close() {
  if (socket_ < 0) return;
  const pid_t pid = pid_;
  Disconnect();
  WaitOrKill(pid, 15000);  // it gives up after 10 s itself
}

void SupervisorLink::Disconnect() {
  uv_close(reinterpret_cast<uv_handle_t*>(poll_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
  close(socket_);
  for (const Outgoing& message : queue_) {
    for (int fd : message.fds) close(fd);
  }
  queue_.clear();
  received_.clear();
  poll_ = nullptr;
  watched_ = 0;
  socket_ = pid_ = -1;
}

}  // namespace beamline::exec
