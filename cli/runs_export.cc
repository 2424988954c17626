// `beamline runs export`: a run to take away: in a directory all there is of it, or its events as
// JSON lines.
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "cli/api_error.h"
#include "cli/junit.h"
#include "cli/output.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kArtifactBytesMax = size_t{1} << 30;

// A step's path, artifact's or item's name as one file name: nothing of it may lead elsewhere.
std::string FileName(const std::string& text) {
  std::string name;
  for (char c : text) name += c == '/' ? '.' : (static_cast<unsigned char>(c) < 0x20 ? '_' : c);
  while (!name.empty() && name.front() == '.') name.erase(0, 1);
  if (name.size() > 200) name.resize(200);
  return name.empty() ? "_" : name;
}

absl::Status ExportEvents(Client& client, const std::string& run_id,
                          const std::function<void(const std::string&)>& write) {
  v1::StreamExecutionEventsRequest request;
  request.set_run_id(run_id);
  CallStopper stopper;
  return client.StreamEvents(request, &stopper, [&](const EventBatch& events) {
    for (const v1::ExecutionEvent& event : events) write(EventJson(event) + "\n");
    return true;
  });
}

// One file per step (and item) that printed anything.
absl::Status ExportOutput(Client& client, const std::string& run_id, const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  v1::TailOutputRequest request;
  request.set_run_id(run_id);
  CallStopper stopper;
  bool failed = false;
  absl::Status status =
      client.TailOutput(request, &stopper, [&](const v1::TailOutputResponse& chunk) {
        // Opened anew for each chunk: there may be more steps than open files.
        std::ofstream file(directory / (FileName(chunk.path()) + ".log"),
                           std::ios::binary | std::ios::app);
        file << chunk.data();
        failed = failed || !file;
        return !failed;
      });
  if (failed) return absl::FailedPreconditionError("cannot write the output of the steps");
  return status;
}

absl::Status ExportArtifacts(Client& client, const std::string& run_id, const fs::path& directory,
                             const google::protobuf::RepeatedPtrField<v1::Artifact>& artifacts) {
  for (const v1::Artifact& artifact : artifacts) {
    auto content = client.ReadBlob(run_id, artifact.blob_uri(), kArtifactBytesMax);
    if (!content.ok()) return content.status();
    std::error_code error;
    fs::create_directories(directory, error);
    absl::Status status =
        WriteWholeFile((directory / FileName(artifact.name())).string(), *content);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ExportStepArtifacts(Client& client, const std::string& run_id, const fs::path& root,
                                 const google::protobuf::RepeatedPtrField<v1::Step>& steps) {
  for (const v1::Step& step : steps) {
    const fs::path directory = root / FileName(step.id());
    absl::Status status = ExportArtifacts(client, run_id, directory, step.artifacts());
    if (status.ok()) status = ExportStepArtifacts(client, run_id, directory, step.steps());
    for (const v1::Item& item : step.items()) {
      const fs::path below = directory / FileName(item.key());
      if (status.ok()) status = ExportArtifacts(client, run_id, below, item.artifacts());
      if (status.ok()) status = ExportStepArtifacts(client, run_id, below, item.steps());
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ExportDirectory(Client& client, const std::string& run_id, const fs::path& root) {
  std::error_code error;
  fs::create_directories(root, error);
  if (!fs::is_empty(root, error) || error) {
    return absl::FailedPreconditionError(
        absl::StrCat(root.string(), " is not an empty directory that can be written to"));
  }
  auto response = client.GetRun(run_id);
  if (!response.ok()) return response.status();
  const v1::Run& run = response->run();
  absl::Status status =
      WriteWholeFile((root / "run.json").string(), RunJson(run, BlobsOf(client, run_id)) + "\n");
  if (status.ok()) {
    status = WriteWholeFile((root / "flow.yaml").string(), response->flow_source());
  }
  std::ofstream events(root / "events.jsonl", std::ios::binary);
  if (status.ok()) {
    status = ExportEvents(client, run_id, [&](const std::string& line) { events << line; });
  }
  events.close();
  if (status.ok() && events.fail()) {
    return absl::FailedPreconditionError("cannot write events.jsonl");
  }
  if (status.ok()) status = ExportOutput(client, run_id, root / "output");
  if (status.ok()) status = ExportStepArtifacts(client, run_id, root / "artifacts", run.steps());
  return status;
}

}  // namespace

int RunsExport(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  const std::string& directory = arguments.Get("to");
  if (directory.empty()) {
    absl::Status status = ExportEvents(*named->client, named->id,
                                       [&](const std::string& line) { context.out.Write(line); });
    return status.ok() ? int{kExitOk} : FailWith(context, status);
  }
  std::error_code error;
  absl::Status status = ExportDirectory(*named->client, named->id, directory);
  if (!status.ok()) return FailWith(context, status);
  Hint(context,
       absl::StrCat(ShortId(named->id), " is in ", directory,
                    ": run.json, events.jsonl, flow.yaml, output/",
                    fs::exists(fs::path(directory) / "artifacts", error) ? ", artifacts/" : ""));
  return kExitOk;
}

}  // namespace beamline::cli
