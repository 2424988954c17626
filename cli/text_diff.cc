// Two texts compared by diff(1), without files.
#include "cli/text_diff.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/context.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

// A file that is nowhere, holding `text`; -1 on an error. diff opens it by its number.
int MemoryFile(const std::string& text) {
  const int fd = memfd_create("text", 0);
  if (fd < 0) return -1;
  FdWriter writer(fd);
  writer.Write(text);
  return writer.error() == 0 ? fd : -1;
}

}  // namespace

std::optional<std::string> UnifiedDiff(const NamedText& from, const NamedText& to, bool color) {
  const int a = MemoryFile(from.text), b = MemoryFile(to.text);
  int out[2] = {-1, -1};
  if (a < 0 || b < 0 || pipe2(out, O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::vector<std::string> words = {"diff",
                                    "-u",
                                    color ? "--color=always" : "--color=never",
                                    "--label",
                                    Printable(from.name),
                                    "--label",
                                    Printable(to.name),
                                    absl::StrCat("/dev/fd/", a),
                                    absl::StrCat("/dev/fd/", b)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = -1;
  const bool spawned = posix_spawnp(&child, "diff", &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  for (const int fd : {a, b, out[1]}) close(fd);
  std::string text;
  char buffer[64 * 1024];
  for (ssize_t n = 1; spawned && n != 0;) {
    n = read(out[0], buffer, sizeof buffer);
    if (n > 0) text.append(buffer, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(out[0]);
  int status = 0;
  if (!spawned || waitpid(child, &status, 0) != child) return std::nullopt;
  if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) return std::nullopt;  // 1: they differ
  return text;
}

}  // namespace beamline::cli
