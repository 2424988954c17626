// A poll loop over one socket and SIGCHLD; everything is a system call that does not wait.
#include "daemon/exec/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "daemon/exec/descendants.h"
#include "daemon/exec/spawn.h"
#include "daemon/exec/supervisor_wire.h"

namespace beamline::exec {
namespace {

class Supervisor {
 public:
  Supervisor(int socket, int signals, int children)
      : socket_(socket), signals_(signals), children_(children) {}

  // Serves until the socket closes.
  void Serve();
  // Ends when this process has no child left, or after 10 s if some cannot be killed.
  void KillEverything();

 private:
  struct Leader {
    pid_t pid = -1;
    std::string attempt;
    bool signalled = false;
  };

  void Handle(const Request& request);
  void StartProcess(const Request& request);
  void Terminate(uint64_t key);
  void Kill(uint64_t key);
  void Reap();
  void ReapOne(pid_t pid);
  void KillLeftovers();
  std::vector<pid_t> Children() const;
  void Answer(const Reply& reply) {
    out_.append(reinterpret_cast<const char*>(&reply), sizeof reply);
  }
  bool Flush();  // false: the daemon is gone

  const int socket_, signals_, children_;
  RequestReader reader_;
  std::string out_;
  absl::flat_hash_map<uint64_t, Leader> running_;
  absl::flat_hash_map<pid_t, uint64_t> key_by_pid_;
  absl::flat_hash_set<std::string> attempts_;        // of running_
  absl::flat_hash_map<pid_t, std::string> orphans_;  // adopted, and the attempt each belongs to
};

void Supervisor::Serve() {
  while (true) {
    const short socket_events = out_.empty() ? POLLIN : POLLIN | POLLOUT;
    pollfd polled[] = {{socket_, socket_events, 0}, {signals_, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) {
      signalfd_siginfo info;
      if (read(signals_, &info, sizeof info) > 0) Reap();  // several SIGCHLD come as one
    }
    if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      if (reader_.Receive(socket_) == RequestReader::State::kClosed) return;
      while (auto request = reader_.Next()) Handle(*request);
      if (reader_.broken()) return;
    }
    if (!Flush()) return;
  }
}

void Supervisor::Handle(const Request& request) {
  switch (request.kind) {
    case RequestKind::kSpawn:
      return StartProcess(request);
    case RequestKind::kTerminate:
      return Terminate(request.key);
    case RequestKind::kKill:
      return Kill(request.key);
  }
}

void Supervisor::StartProcess(const Request& request) {
  const SpawnResult result = Spawn(request);
  for (int fd : request.fds) close(fd);
  if (result.pid < 0) {
    Answer({ReplyKind::kSpawnFailed, result.stage, request.key, result.error});
    return;
  }
  Leader leader{.pid = result.pid};
  for (const char* variable : request.env) {
    if (variable == nullptr) break;
    absl::string_view text = variable;
    if (absl::ConsumePrefix(&text, kAttemptVariable) && absl::ConsumePrefix(&text, "=")) {
      leader.attempt = std::string(text);
    }
  }
  attempts_.insert(leader.attempt);
  key_by_pid_[result.pid] = request.key;
  running_[request.key] = std::move(leader);
  Answer({ReplyKind::kStarted, SpawnStage::kNone, request.key, result.pid});
}

void Supervisor::Terminate(uint64_t key) {
  Reap();  // one that has ended already ended by itself
  const auto it = running_.find(key);
  if (it == running_.end()) return;
  it->second.signalled = true;
  kill(-it->second.pid, SIGTERM);
  kill(-it->second.pid, SIGCONT);  // a stopped process would not hear it
}

void Supervisor::Kill(uint64_t key) {
  Reap();
  const auto it = running_.find(key);
  if (it == running_.end()) return;
  it->second.signalled = true;
  kill(-it->second.pid, SIGKILL);
  KillTree(it->second.pid);
}

void Supervisor::Reap() {
  bool reaped = false;
  while (true) {
    // Looked at before it is reaped: until then its process group cannot become another's.
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) break;
    ReapOne(info.si_pid);
    reaped = true;
  }
  if (reaped) KillLeftovers();
}

void Supervisor::ReapOne(pid_t pid) {
  const auto it = key_by_pid_.find(pid);
  if (it != key_by_pid_.end()) kill(-pid, SIGKILL);
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  orphans_.erase(pid);
  if (it == key_by_pid_.end()) return;

  const uint64_t key = it->second;
  const Leader leader = std::move(running_[key]);
  running_.erase(key);
  key_by_pid_.erase(it);
  attempts_.erase(leader.attempt);
  Answer({ReplyKind::kExited, SpawnStage::kNone, key, status, leader.signalled,
          static_cast<uint64_t>(usage.ru_maxrss) * 1024});
}

// Kills adopted processes whose attempt has ended. It is enough to look whenever a child has been
// reaped: whatever a killed process leaves behind becomes our child before or when that one ends,
// and the last of each killed family to end is our child.
void Supervisor::KillLeftovers() {
  const std::vector<pid_t> children = Children();
  if (children.size() <= running_.size()) return;  // nearly always
  for (pid_t pid : children) {
    if (key_by_pid_.contains(pid)) continue;
    auto [it, is_new] = orphans_.try_emplace(pid);
    if (is_new) it->second = AttemptOf(pid);
    const bool wanted = it->second.empty() ? !running_.empty() : attempts_.contains(it->second);
    if (!wanted) KillTree(pid);
  }
}

// Only this thread takes children away, so the kernel's list cannot skip one while it is read.
std::vector<pid_t> Supervisor::Children() const {
  std::string text;
  char block[4096];
  ssize_t n = 0;
  while ((n = pread(children_, block, sizeof block, text.size())) > 0) text.append(block, n);
  return ParsePids(text);
}

bool Supervisor::Flush() {
  while (!out_.empty()) {
    const ssize_t n = SendBytes(socket_, out_.data(), out_.size(), {});
    if (n < 0) return false;
    if (n == 0) return true;
    out_.erase(0, n);
  }
  return true;
}

void Supervisor::KillEverything() {
  for (const auto& [pid, key] : key_by_pid_) kill(-pid, SIGKILL);
  for (int look = 0; look < 5000; ++look) {
    for (pid_t pid : Children()) KillTree(pid);
    pid_t reaped = 0;
    do reaped = waitpid(-1, nullptr, WNOHANG);
    while (reaped > 0);
    if (reaped < 0 && errno == ECHILD) return;
    usleep(2000);
  }
}

// Descriptors, signals and terminal as Spawn wants them. Returns a signalfd for SIGCHLD or -1.
int SetUpProcess(int socket) {
  setsid();  // a Ctrl-C meant for the daemon is the daemon's business
  if (chdir("/") != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return -1;
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  fcntl(socket + 1, F_SETFD, FD_CLOEXEC);  // the lock that is held as long as this process lives
  close_range(socket + 2, ~0U, 0);
  // By the system call: posix_spawn leaves the C library's two internal signals ignored, and its
  // sigaction() refuses to touch them.
  const char default_action[64] = {};
  for (int number = 1; number < NSIG; ++number) {
    syscall(SYS_rt_sigaction, number, default_action, nullptr, sizeof(uint64_t));
  }
  sigset_t all, child;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

int SupervisorMain(int fd) {
  const int signals = SetUpProcess(fd);
  const std::string children_path = absl::StrCat("/proc/self/task/", getpid(), "/children");
  const int children = open(children_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (signals < 0 || children < 0) {
    perror("beamlined --supervise: cannot watch child processes");
    return 1;
  }
  Supervisor supervisor(fd, signals, children);
  supervisor.Serve();
  supervisor.KillEverything();
  return 0;
}

}  // namespace beamline::exec
