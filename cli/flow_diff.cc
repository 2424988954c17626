// `beamline flow diff`: two flows, registered or in files, compared by diff(1).
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "cli/flow_name.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/verbs.h"
#include "flowspec/parse.h"

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

// A flow as it is compared: its text and those of the files that it brings, by path; "" is its own.
struct Side {
  std::string name;
  std::map<std::string, std::string> texts;
};

std::optional<Side> ReadSide(const Context& context, const std::string& word,
                             std::unique_ptr<Client>* client, int* code) {
  std::optional<SourceFile> source = ReadFlow(context, word, client, code);
  if (!source) return std::nullopt;
  // A file that is no flow yet can still be compared.
  const auto flow = flowspec::ParseFlow(source->text, {.compile_expressions = false}).flow;
  if (IsFlowFile(word) && flow != nullptr) {
    std::optional<std::vector<BundleFile>> files = LoadBundle(context, word, *flow, code);
    if (!files) return std::nullopt;
    source->brings = *std::move(files);
  }
  Side side{source->name, {{"", source->text}}};
  for (BundleFile& file : source->brings) side.texts[file.path] = std::move(file.text);
  return side;
}

// What diff says of each file that either side has; nothing if it cannot be run.
std::optional<std::string> Compare(const Side& from, const Side& to, bool color) {
  std::set<std::string> paths;
  for (const Side* side : {&from, &to}) {
    for (const auto& [path, text] : side->texts) paths.insert(path);
  }
  const auto file = [](const Side& side, const std::string& path) {
    const auto found = side.texts.find(path);
    if (found == side.texts.end()) return SourceFile{"/dev/null", ""};
    return SourceFile{path.empty() ? side.name : absl::StrCat(side.name, ":", path), found->second};
  };
  std::string all;
  for (const std::string& path : paths) {
    const SourceFile a = file(from, path), b = file(to, path);
    if (a.text == b.text) continue;
    const std::optional<std::string> diff = UnifiedDiff(a, b, color);
    if (!diff) return std::nullopt;
    all += *diff;
  }
  return all;
}

}  // namespace

int FlowDiff(const Arguments& arguments, Context& context) {
  std::unique_ptr<Client> client;
  int code = kExitOk;
  const auto from = ReadSide(context, arguments.Get("FROM"), &client, &code);
  if (!from) return code;
  const auto to = ReadSide(context, arguments.Get("TO"), &client, &code);
  if (!to) return code;
  const bool same = from->texts == to->texts;
  const std::optional<std::string> diff =
      Compare(*from, *to, context.out.color && !context.wants_data());
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
