// posix_spawn rather than fork: its cost does not grow with the daemon's memory.
#include "daemon/exec/evaluator_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/exec/evaluator_child.h"

namespace beamline::exec {
namespace {

constexpr int kChildFd = 3;

// posix_spawn's arguments; freed at the end of the scope.
struct SpawnArguments {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  explicit SpawnArguments(int child_end) {
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, child_end, kChildFd);
    for (int fd = 0; fd < kChildFd; ++fd) {
      posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    }
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnArguments() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

ChildEnd Judge(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kEvaluatorOutOfMemoryExit) {
    return ChildEnd::kOwnMemory;
  }
  if (!WIFSIGNALED(status)) return ChildEnd::kOutside;
  switch (WTERMSIG(status)) {
    case SIGABRT:  // libjq out of memory, or one of its assertions
    case SIGSEGV:  // its recursion out of stack
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
      return ChildEnd::kOwnMemory;
    case SIGXCPU:
      return ChildEnd::kOwnTime;
    default:
      return ChildEnd::kOutside;
  }
}

}  // namespace

EvaluatorProcess::EvaluatorProcess(pid_t pid, int fd) : pid_(pid), fd_(fd) {}

EvaluatorProcess::EvaluatorProcess(EvaluatorProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      fd_(std::exchange(other.fd_, -1)),
      out_(std::move(other.out_)),
      written_(other.written_),
      frames_(std::move(other.frames_)) {}

EvaluatorProcess::~EvaluatorProcess() { End(); }

absl::StatusOr<EvaluatorProcess> EvaluatorProcess::Spawn(const std::vector<std::string>& command) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::InternalError(absl::StrCat("socketpair: ", std::strerror(errno)));
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char* no_environment[] = {nullptr};
  const SpawnArguments arguments(ends[1]);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &arguments.files, &arguments.attributes, argv.data(),
                                no_environment);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return absl::InternalError(
        absl::StrCat("cannot start the evaluator ", command[0], ": ", std::strerror(error)));
  }
  return EvaluatorProcess(pid, ends[0]);
}

bool EvaluatorProcess::Send(FrameKind kind, std::string_view digest, std::string_view body) {
  out_.append(EncodeFrame(kind, 0, digest, body));
  return Flush();
}

bool EvaluatorProcess::Flush() {
  while (wants_to_write()) {
    const ssize_t n = send(fd_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    written_ += static_cast<size_t>(n);
  }
  out_.clear();
  written_ = 0;
  return true;
}

bool EvaluatorProcess::Receive() {
  char buffer[64 * 1024];
  while (true) {
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    frames_.Append({buffer, static_cast<size_t>(n)});
    if (static_cast<size_t>(n) < sizeof(buffer)) return true;
  }
}

// A process that is ending already keeps its own cause of death.
ChildEnd EvaluatorProcess::End() {
  if (pid_ < 0) return ChildEnd::kOutside;
  kill(pid_, SIGKILL);
  int status = 0;
  pid_t ended;
  do {
    ended = waitpid(pid_, &status, 0);
  } while (ended < 0 && errno == EINTR);
  close(fd_);
  const bool known = ended == std::exchange(pid_, -1);
  fd_ = -1;
  return known ? Judge(status) : ChildEnd::kOutside;
}

}  // namespace beamline::exec
