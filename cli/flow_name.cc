// Looks for a file before it asks the daemon.
#include "cli/flow_name.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/places.h"

namespace beamline::cli {

bool IsFlowFile(const std::string& word) {
  if (std::string_view(word) == "-" || word.find('/') != word.npos ||
      absl::EndsWith(word, ".yaml") || absl::EndsWith(word, ".yml")) {
    return true;
  }
  // Beside a directory `build` there may well be a flow of that name.
  struct stat info;
  return stat(word.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

int EnsureConnected(const Context& context, std::unique_ptr<Client>* client) {
  if (*client != nullptr) return kExitOk;
  absl::StatusOr<std::unique_ptr<Client>> connected = Connect(context);
  if (!connected.ok()) return FailWith(context, connected.status());
  *client = *std::move(connected);
  return kExitOk;
}

std::optional<SourceFile> ReadFlow(const Context& context, const std::string& word,
                                   std::unique_ptr<Client>* client, int* code) {
  if (IsFlowFile(word)) {
    absl::StatusOr<SourceFile> source = ReadSource(word);
    if (source.ok()) return *std::move(source);
    *code = Fail(context, kExitNotFound, std::string(source.status().message()));
    return std::nullopt;
  }
  *code = EnsureConnected(context, client);
  if (*code != kExitOk) return std::nullopt;
  auto flow = (*client)->GetFlow(word);
  if (!flow.ok()) {
    *code = FailWith(context, flow.status());
    return std::nullopt;
  }
  SourceFile source{word, std::move(*flow->mutable_flow_source())};
  for (v1::FlowFile& file : *flow->mutable_files()) {
    source.brings.push_back({std::move(*file.mutable_path()), std::move(*file.mutable_source())});
  }
  return source;
}

std::string WorkspaceOf(const std::string& file) {
  if (file == "-") return AbsolutePath(".");
  return AbsolutePath(std::filesystem::path(AbsolutePath(file)).parent_path().string());
}

}  // namespace beamline::cli
