// Reaching and starting the daemon; see connect.h.
#include "cli/connect.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/remote.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(10);
constexpr absl::Duration kPollInterval = absl::Milliseconds(2);
constexpr absl::Duration kPingTimeout = absl::Seconds(60);
constexpr absl::Duration kSayAfter = absl::Seconds(1);  // that it takes long
constexpr std::streamoff kLogBytesRead = 1 << 20;
constexpr std::streamoff kLogBytesKept = 16 << 20;  // then the next start begins another

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// The directory of this program, where beamlined is looked for first.
std::string OwnDirectory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

// This process's environment, with the two variables that tell the daemon its place.
std::vector<std::string> DaemonEnvironment(const Context& context) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!absl::StartsWith(*variable, "BEAMLINE_SOCKET=") &&
        !absl::StartsWith(*variable, "BEAMLINE_DATA_DIR=")) {
      variables.emplace_back(*variable);
    }
  }
  variables.push_back("BEAMLINE_SOCKET=" + context.socket);
  variables.push_back("BEAMLINE_DATA_DIR=" + context.data_dir);
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::streamoff LogSize(const Context& context) {
  std::ifstream file(DaemonLogPath(context), std::ios::binary | std::ios::ate);
  return file ? std::streamoff{file.tellg()} : 0;
}

// A log that has become long is put aside; the one before it goes.
void RotateLog(const Context& context) {
  if (LogSize(context) < kLogBytesKept) return;
  const std::string log = DaemonLogPath(context);
  std::error_code error;  // a log that cannot be renamed goes on growing
  std::filesystem::rename(log, log + ".1", error);
}

// Starts `program` in a session of its own, away from this terminal and directory.
absl::StatusOr<pid_t> Spawn(const std::string& program, const Context& context) {
  std::vector<std::string> environment = DaemonEnvironment(context);
  std::vector<std::string> arguments = {program};
  const std::string log = DaemonLogPath(context);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, Pointers(arguments).data(),
                          Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return pid;
  return absl::UnavailableError(absl::StrCat("cannot start ", program, ": ", strerror(error)));
}

// `log_size`: of the log before the start. If the daemon could add nothing to it, the older lines
// are about something else.
absl::Status DidNotStart(const Context& context, std::string_view why, std::streamoff log_size) {
  std::string message = absl::StrCat("beamlined ", absl::string_view(why.data(), why.size()));
  std::error_code error;
  if (LogSize(context) > log_size) {
    const std::string lines = LastLines(DaemonLogPath(context), 10, log_size);
    // A daemon that cannot start says why in its last line.
    constexpr absl::string_view kPrefix = "beamlined: ";
    const std::string last = lines.substr(lines.rfind('\n') + 1);
    if (absl::StartsWith(last, kPrefix)) {
      return absl::UnavailableError(
          absl::StrCat("beamlined did not start: ", last.substr(kPrefix.size())));
    }
    absl::StrAppend(&message, "; the last lines of its log:\n", lines);
  } else if (std::filesystem::space(context.data_dir, error).available == 0 && !error) {
    absl::StrAppend(&message, ": the disk is full; make room for the data directory ",
                    context.data_dir);
  }
  return absl::UnavailableError(message);
}

// Waits until `pid` listens. A daemon that ends because another one was quicker is no failure.
absl::Status AwaitListening(const Context& context, pid_t pid, std::streamoff log_size) {
  const absl::Time limit = absl::Now() + kStartTimeout;
  while (!IsListening(context.socket)) {
    int status = 0;
    if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
      if (IsListening(context.socket)) return absl::OkStatus();
      return DidNotStart(context, "ended at once", log_size);
    }
    if (absl::Now() > limit) return DidNotStart(context, "does not answer after 10 s", log_size);
    absl::SleepFor(kPollInterval);
  }
  return absl::OkStatus();
}

absl::Status CreateDataDir(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(dir).parent_path(), error);
  if (mkdir(dir.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) {
    return absl::UnavailableError(
        absl::StrCat("cannot create the data directory ", dir, ": ", strerror(errno)));
  }
  if (std::filesystem::is_directory(dir, error)) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "the data directory ", dir, " is not a directory; move it away, or name another --data-dir"));
}

absl::Status StartDaemon(const Context& context) {
  if (absl::Status status = PrepareSocketDir(context.socket); !status.ok()) return status;
  if (absl::Status status = CreateDataDir(context.data_dir); !status.ok()) return status;
  // Of two clients that find no daemon the second waits here, and then finds the first one's.
  Fd lock(
      open((context.socket + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.get() < 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot open ", context.socket, ".lock: ", strerror(errno)));
  }
  while (flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  if (IsListening(context.socket)) return absl::OkStatus();
  std::string program = FindDaemon();
  if (program.empty()) {
    return absl::UnavailableError(
        "beamlined is neither beside this program nor in PATH; start it or set BEAMLINE_SOCKET");
  }
  RotateLog(context);
  const std::streamoff log_size = LogSize(context);
  absl::StatusOr<pid_t> pid = Spawn(program, context);
  if (!pid.ok()) return pid.status();
  return AwaitListening(context, *pid, log_size);
}

// Ends an idle daemon of another version. Returns whether it is gone.
bool Replace(Client& client, const Context& context, const std::string& version) {
  auto status = client.GetDaemonStatus();
  const bool idle = status.ok() && status->runs_unfinished() == 0;
  if (!idle) {
    Hint(context,
         absl::StrCat("note: beamlined ", Printable(version), " is running and busy; this is ",
                      BEAMLINE_VERSION, ". `beamline daemon stop` lets it end its work"));
    return false;
  }
  if (!client.Shutdown(absl::ZeroDuration()).ok()) return false;
  const absl::Time limit = absl::Now() + kStartTimeout;
  while (IsListening(context.socket) && absl::Now() < limit) absl::SleepFor(kPollInterval);
  return !IsListening(context.socket);
}

}  // namespace

std::string FindDaemon() {
  std::vector<std::string> directories = {OwnDirectory()};
  for (auto dir : absl::StrSplit(ProcessEnvironment()("PATH"), ':')) {
    directories.emplace_back(dir);
  }
  for (const std::string& dir : directories) {
    if (!absl::StartsWith(dir, "/")) continue;  // never from the current directory
    std::string path = dir + "/beamlined";
    struct stat info;
    if (stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return "";
}

bool IsListening(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) return false;
  memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

std::string DaemonLogPath(const Context& context) { return context.data_dir + "/beamlined.log"; }

std::string LastLines(const std::string& path, int lines, std::streamoff from) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  const std::streamoff start = std::min(size, std::max(from, size - kLogBytesRead));
  std::string text(static_cast<size_t>(size - start), '\0');
  file.seekg(start);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t at = text.size();
  for (int i = 0; i < lines && at != std::string::npos && at > 0; ++i) {
    at = text.rfind('\n', at - 1);
  }
  return at == std::string::npos ? text : text.substr(at == 0 ? 0 : at + 1);
}

absl::StatusOr<std::unique_ptr<Client>> ConnectToRunning(const Context& context,
                                                         absl::Duration timeout) {
  if (context.remote) return ConnectRemote(*context.remote, timeout);
  if (!IsListening(context.socket)) {
    return absl::NotFoundError(absl::StrCat("no beamlined is listening on ", context.socket));
  }
  return std::make_unique<Client>(context.socket);
}

absl::StatusOr<std::unique_ptr<Client>> Connect(const Context& context) {
  if (context.remote) return ConnectRemote(*context.remote, kRemoteTimeout);
  // Twice at most: a daemon of another version may have to go first, or one was about to end.
  for (bool again : {false, true}) {
    const std::streamoff log_size = LogSize(context);
    const bool was_there = IsListening(context.socket);
    if (!was_there) {
      if (absl::Status status = StartDaemon(context); !status.ok()) return status;
    }
    auto client = std::make_unique<Client>(context.socket);
    auto pong = client->Ping(kSayAfter);
    if (absl::IsDeadlineExceeded(pong.status())) {
      Hint(context, "waiting for beamlined, which is starting …");
      pong = client->Ping(kPingTimeout);
    }
    if (!pong.ok() && !IsListening(context.socket)) {
      if (was_there && !again) continue;
      // It listens from the first moment on, and then found what it cannot work with.
      return DidNotStart(context, "ended before it answered", log_size);
    }
    if (!pong.ok()) {
      return absl::UnavailableError(absl::StrCat("beamlined on ", context.socket,
                                                 " does not answer: ", pong.status().message()));
    }
    if (pong->protocol() != "v1") {
      return absl::UnavailableError(
          absl::StrCat("beamlined speaks protocol ", pong->protocol(), ", this program v1"));
    }
    if (pong->version() == BEAMLINE_VERSION || again ||
        !Replace(*client, context, pong->version())) {
      return client;
    }
  }
  return absl::UnavailableError("beamlined was replaced by another again");
}

}  // namespace beamline::cli
