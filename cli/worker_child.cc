// fork and exec rather than posix_spawn: the child asks to be killed with its parent.
#include "cli/worker_child.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/text.h"

extern char** environ;

namespace beamline::cli {
namespace {

constexpr size_t kOutputBytesMax = 3 << 20;  // as the daemon's Welcome says
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kTailBytesMax = 4096;
constexpr size_t kStderrLineBytesMax = 200;

std::vector<std::string> EnvironmentOf(const v1::Assign& assign, const std::string& output_path) {
  std::vector<std::string> own = {
      "BEAMLINE_RUN_ID=" + assign.ref().run_id(),
      "BEAMLINE_FLOW=" + assign.flow_id(),
      "BEAMLINE_STEP=" + assign.step_id(),
      absl::StrCat("BEAMLINE_ATTEMPT=", assign.ref().run_id(), "/", assign.ref().path(), "/",
                   assign.ref().attempt()),
      "BEAMLINE_IDEMPOTENCY_KEY=" + assign.idempotency_key(),
      "BEAMLINE_TRACE_ID=" + assign.trace_id(),
      "BEAMLINE_OUTPUT=" + output_path,
      "BEAMLINE_QUEUE=" + assign.queue(),
      "BEAMLINE_TASK=" + assign.task(),
      absl::StrCat("BEAMLINE_LEASE_EPOCH=", assign.lease_epoch()),
  };
  if (assign.trace_id().size() == 32) {
    own.push_back(absl::StrCat("TRACEPARENT=00-", assign.trace_id(), "-", assign.span_id(), "-01"));
  }
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view name(*variable, strcspn(*variable, "=") + 1);
    const bool replaced = std::any_of(own.begin(), own.end(), [&](const std::string& mine) {
      return absl::StartsWith(mine, name);
    });
    if (!replaced) all.emplace_back(*variable);
  }
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void CloseFd(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// In the child, between fork and exec: only what a signal handler may do.
[[noreturn]] void Become(char* const* argv, char* const* environment, pid_t parent, int in, int out,
                         int err) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTSTP, SIGWINCH, SIGCHLD}) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  environ = const_cast<char**>(environment);
  execvp(argv[0], argv);
  const char* why = strerror(errno);
  for (const char* part : {"cannot run ", static_cast<const char*>(argv[0]), ": ", why, "\n"}) {
    [[maybe_unused]] const ssize_t written = write(2, part, strlen(part));
  }
  _exit(127);
}

bool MayBeJson(absl::string_view text) {
  text = absl::StripLeadingAsciiWhitespace(text);
  return text.empty() || absl::string_view("{[\"-0123456789tfn").find(text[0]) != text.npos;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerChild>> WorkerChild::Start(
    const std::vector<std::string>& command, v1::Assign assign, std::string output_path) {
  auto child =
      std::unique_ptr<WorkerChild>(new WorkerChild(std::move(assign), std::move(output_path)));
  const std::vector<std::string> environment = EnvironmentOf(child->assign_, child->output_path_);
  const std::vector<char*> argv = Pointers(command), env = Pointers(environment);
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  const bool piped =
      pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
  const pid_t parent = getpid();
  if (piped) child->pid_ = fork();
  if (child->pid_ == 0) Become(argv.data(), env.data(), parent, in[0], out[1], err[1]);
  const int error = errno;
  for (int* fd : {&in[0], &out[1], &err[1]}) CloseFd(fd);
  child->fds_ = {in[1], out[0], err[0], -1};
  if (child->pid_ > 0) {
    setpgid(child->pid_, child->pid_);  // whichever of the two is first
    child->fds_.exit = static_cast<int>(syscall(SYS_pidfd_open, child->pid_, 0));
  }
  if (child->fds_.exit < 0) {
    return absl::UnavailableError(absl::StrCat("cannot start a process: ", strerror(error)));
  }
  for (int fd : {in[1], out[0], err[0]}) fcntl(fd, F_SETFL, O_NONBLOCK);
  return child;
}

WorkerChild::~WorkerChild() {
  if (pid_ > 0 && !exited_) {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (int* fd : {&fds_.in, &fds_.out, &fds_.err, &fds_.exit}) CloseFd(fd);
  unlink(output_path_.c_str());
}

void WorkerChild::Proceed(const Print& print) {
  Feed();
  Read(&fds_.out, v1::LOG_STREAM_STDOUT, print);
  Read(&fds_.err, v1::LOG_STREAM_STDERR, print);
  Reap();
}

void WorkerChild::Feed() {
  const std::string& input = assign_.input();
  while (fds_.in >= 0 && fed_ < input.size()) {
    const ssize_t n = write(fds_.in, input.data() + fed_, input.size() - fed_);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) break;  // it does not want to know
    fed_ += static_cast<size_t>(n);
  }
  CloseFd(&fds_.in);
}

void WorkerChild::Read(int* fd, v1::LogStream stream, const Print& print) {
  char buffer[kReadBytes];
  while (*fd >= 0) {
    const ssize_t n = read(*fd, buffer, sizeof(buffer));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return CloseFd(fd);
    const std::string_view bytes(buffer, static_cast<size_t>(n));
    if (stream == v1::LOG_STREAM_STDERR) {
      print(stream, bytes);
      stderr_tail_.append(bytes);
      if (stderr_tail_.size() > kTailBytesMax) {
        stderr_tail_.erase(0, stderr_tail_.size() - kTailBytesMax);
      }
    } else if (streaming_) {
      print(stream, bytes);
    } else {
      stdout_.append(bytes);
      if (stdout_.size() <= kOutputBytesMax && MayBeJson(stdout_)) continue;
      streaming_ = true;
      print(stream, std::exchange(stdout_, ""));
    }
  }
}

void WorkerChild::Reap() {
  if (exited_ || waitpid(pid_, &wait_status_, WNOHANG) != pid_) return;
  exited_ = true;
  exited_at_ = absl::Now();
  kill(-pid_, SIGKILL);  // what it left behind in its group
  CloseFd(&fds_.exit);
  CloseFd(&fds_.in);
}

void WorkerChild::Abandon() {
  CloseFd(&fds_.out);
  CloseFd(&fds_.err);
}

void WorkerChild::Stop(bool force) {
  Reap();  // what is over already was not stopped
  if (exited_) return;
  stopped_ = true;
  kill(-pid_, force ? SIGKILL : SIGTERM);
}

v1::Result WorkerChild::Failure(std::string_view kind, std::string message, int exit_code) const {
  v1::Result result;
  result.mutable_failure()->set_kind(std::string(kind));
  result.mutable_failure()->set_message(std::move(message));
  if (exit_code >= 0) result.mutable_failure()->set_exit_code(exit_code);
  return result;
}

v1::Result WorkerChild::TakeResult(const Print& print) {
  v1::Result result;
  if (stopped_) {
    result.mutable_stopped();
  } else if (wait_status_ != 0) {
    const bool signalled = WIFSIGNALED(wait_status_);
    const int code = signalled ? 128 + WTERMSIG(wait_status_) : WEXITSTATUS(wait_status_);
    std::string message = signalled ? absl::StrCat("killed by signal ", WTERMSIG(wait_status_))
                                    : absl::StrCat("exit code ", code);
    absl::string_view tail = absl::StripTrailingAsciiWhitespace(stderr_tail_);
    if (const size_t newline = tail.rfind('\n'); newline != tail.npos) {
      tail.remove_prefix(newline + 1);
    }
    if (!tail.empty()) {
      tail = tail.substr(0, kStderrLineBytesMax);
      absl::StrAppend(&message, ": ", Printable({tail.data(), tail.size()}));
    }
    result = Failure("exit", std::move(message), code);
  } else {
    result = Output();
  }
  if (!stdout_.empty()) print(v1::LOG_STREAM_STDOUT, std::exchange(stdout_, ""));
  *result.mutable_ref() = assign_.ref();
  result.set_lease_epoch(assign_.lease_epoch());
  return result;
}

v1::Result WorkerChild::Output() {
  v1::Result result;
  std::ifstream file(output_path_, std::ios::binary);
  std::string lines(kOutputBytesMax + 1, '\0');
  file.read(lines.data(), static_cast<std::streamsize>(lines.size()));
  lines.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (lines.size() > kOutputBytesMax) {
    return Failure("output_size", "more than 3 MiB were written to $BEAMLINE_OUTPUT");
  }
  if (!absl::StripAsciiWhitespace(lines).empty()) {
    result.set_output_lines(std::move(lines));
  } else if (!stdout_.empty() && nlohmann::json::accept(stdout_)) {
    result.set_output(std::exchange(stdout_, ""));
  } else {
    result.set_output("null");
  }
  return result;
}

}  // namespace beamline::cli
