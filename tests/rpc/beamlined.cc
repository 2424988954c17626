// Processes of tests.
#include "tests/rpc/beamlined.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace beamline::rpc_testing {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A socket file alone may be a dead daemon's.
bool Listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool listens =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return listens;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() : path_("/tmp/beamline-rpc-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) abort();
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Beamlined::Beamlined(const std::string& directory, std::vector<std::string> arguments,
                     std::vector<std::string> environment)
    : socket_(directory + "/beamlined.sock"), log_path_(directory + "/beamlined.log") {
  std::vector<std::string> argv = {BEAMLINED, "--data-dir", directory, "--socket", socket_};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  environment.push_back("PATH=/usr/local/bin:/usr/bin:/bin");
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (absl::StrContains(*variable, "SAN_OPTIONS=")) environment.push_back(*variable);
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn(&pid_, BEAMLINED, &actions, nullptr, Pointers(argv).data(),
              Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
}

Beamlined::~Beamlined() {
  if (exit_code_ >= 0) return;
  Signal(SIGKILL);
  AwaitExit();
}

bool Beamlined::AwaitSocket() {
  const absl::Time limit = absl::Now() + absl::Seconds(10);
  while (absl::Now() < limit) {
    if (Listens(socket_)) return true;
    if (AwaitExit(absl::Milliseconds(1)) >= 0) return false;
  }
  return false;
}

void Beamlined::Signal(int signal) {
  if (exit_code_ < 0) kill(pid_, signal);
}

int Beamlined::AwaitExit(absl::Duration wait) {
  const absl::Time limit = absl::Now() + wait;
  while (exit_code_ < 0) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (absl::Now() > limit) {
      break;
    } else {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
  return exit_code_;
}

std::string Beamlined::log() const {
  std::stringstream text;
  text << std::ifstream(log_path_).rdbuf();
  return text.str();
}

}  // namespace beamline::rpc_testing
