// `beamline flow diff`: two flows, registered or in files, compared by diff(1).
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/flow_name.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/verbs.h"

extern char** environ;

namespace beamline::cli {
namespace {

// A file that is nowhere, holding `text`; -1 on an error. diff opens it by its number.
int MemoryFile(const std::string& text) {
  const int fd = memfd_create("flow", 0);
  if (fd < 0) return -1;
  FdWriter writer(fd);
  writer.Write(text);
  return writer.error() == 0 ? fd : -1;
}

// What diff prints; nothing if it cannot be run.
std::optional<std::string> UnifiedDiff(const SourceFile& from, const SourceFile& to, bool color) {
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

}  // namespace

int FlowDiff(const Arguments& arguments, Context& context) {
  std::unique_ptr<Client> client;
  int code = kExitOk;
  const auto from = ReadFlow(context, arguments.Get("FROM"), &client, &code);
  if (!from) return code;
  const auto to = ReadFlow(context, arguments.Get("TO"), &client, &code);
  if (!to) return code;
  const bool same = from->text == to->text;
  const bool color = context.out.color && !context.wants_data();
  const std::optional<std::string> diff = same ? "" : UnifiedDiff(*from, *to, color);
  if (!diff) return Fail(context, kExitFailed, "diff cannot be run", "install diffutils");
  if (context.wants_data()) {
    return PrintData(
        context,
        absl::StrCat("{\"from\":", QuoteJson(from->name), ",\"to\":", QuoteJson(to->name),
                     ",\"same\":", same ? "true" : "false", ",\"diff\":", QuoteJson(*diff), "}"));
  }
  context.out.Write(*diff);
  if (same) Hint(context, "they are the same");
  return kExitOk;
}

}  // namespace beamline::cli
