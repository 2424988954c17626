// Reads /proc; a process that is gone meanwhile is no error.
#include "daemon/exec/descendants.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace beamline::exec {
namespace {

constexpr size_t kProcFileBytesMax = 4 << 20;  // environments are held to 1 MiB when we start them

std::string ReadProc(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char block[8192];
  ssize_t n = 0;
  while (text.size() < kProcFileBytesMax && (n = read(fd, block, sizeof block)) > 0) {
    text.append(block, n);
  }
  close(fd);
  return text;
}

// The entries of a /proc directory that are numbers: processes or threads.
std::vector<pid_t> Numbers(const std::string& dir) {
  std::vector<pid_t> numbers;
  std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(dir.c_str()), closedir);
  if (stream == nullptr) return numbers;
  while (const dirent* entry = readdir(stream.get())) {
    pid_t number = 0;
    if (absl::SimpleAtoi(entry->d_name, &number)) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

std::vector<pid_t> ParsePids(absl::string_view text) {
  std::vector<pid_t> pids;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipWhitespace())) {
    pid_t pid = 0;
    if (absl::SimpleAtoi(word, &pid) && pid > 1) pids.push_back(pid);
  }
  return pids;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  const std::string tasks = absl::StrCat("/proc/", pid, "/task");
  for (pid_t thread : Numbers(tasks)) {
    const std::vector<pid_t> some =
        ParsePids(ReadProc(absl::StrCat(tasks, "/", thread, "/children")));
    children.insert(children.end(), some.begin(), some.end());
  }
  return children;
}

void KillTree(pid_t root) {
  std::vector<pid_t> todo = {root};
  while (!todo.empty()) {
    const pid_t pid = todo.back();
    todo.pop_back();
    // Children are asked for while the parent is there to be asked.
    const std::vector<pid_t> children = ChildrenOf(pid);
    kill(pid, SIGKILL);
    todo.insert(todo.end(), children.begin(), children.end());
  }
}

std::string AttemptOf(pid_t pid) {
  const std::string environment = ReadProc(absl::StrCat("/proc/", pid, "/environ"));
  for (absl::string_view variable : absl::StrSplit(environment, '\0')) {
    if (absl::ConsumePrefix(&variable, kAttemptVariable) && absl::ConsumePrefix(&variable, "=")) {
      return std::string(variable);
    }
  }
  return "";
}

void KillAttempts(const absl::flat_hash_set<std::string>& attempts) {
  for (int look = 0; look < 100; ++look) {
    bool found = false;
    for (pid_t pid : Numbers("/proc")) {
      if (pid <= 1 || pid == getpid() || !attempts.contains(AttemptOf(pid))) continue;
      found = true;
      kill(pid, SIGKILL);
    }
    if (!found) return;
    usleep(1000);  // the killed need a moment to go
  }
}

}  // namespace beamline::exec
