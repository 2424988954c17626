// What workers send is checked here and nowhere else.
#include "daemon/exec/worker_task.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/step_output.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/reader.h"

namespace beamline::exec {
namespace {

constexpr size_t kNameBytesMax = 256;
constexpr size_t kKindBytesMax = 64;
constexpr size_t kMessageBytesMax = 2000;
constexpr absl::Duration kHeartbeatMin = absl::Seconds(1);
constexpr absl::Duration kHeartbeatMax = absl::Hours(24);

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<std::string> NameIn(std::string_view json, absl::string_view key) {
  std::string name = flowspec::JsonKind(json) == '"' ? flowspec::UnquoteJson(json) : "";
  if (!name.empty() && name.size() <= kNameBytesMax) return name;
  return Bad(
      absl::StrCat("`worker.", key, "` must come to a text of 1 to ", kNameBytesMax, " bytes"));
}

absl::StatusOr<absl::Duration> HeartbeatIn(std::string_view json) {
  const auto heartbeat = flowspec::JsonKind(json) == '"'
                             ? flowspec::ParseDuration(flowspec::UnquoteJson(json))
                             : std::nullopt;
  if (heartbeat && *heartbeat >= kHeartbeatMin && *heartbeat <= kHeartbeatMax) return *heartbeat;
  return Bad("`worker.heartbeat` must come to a duration from 1s to 24h");
}

// Kinds by which the daemon says something of its own.
bool IsOurs(absl::string_view kind) {
  constexpr absl::string_view kOurs[] = {"cancel", "deadline", "expression", "fail",
                                         "input",  "items",    "output",     "schema",
                                         "secret", "spawn",    "stopped",    "unknown"};
  return std::find(std::begin(kOurs), std::end(kOurs), kind) != std::end(kOurs);
}

bool IsKind(absl::string_view kind) {
  return !kind.empty() && kind.size() <= kKindBytesMax && absl::ascii_islower(kind.front()) &&
         std::all_of(kind.begin(), kind.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
         });
}

// `json` without blanks between its tokens: events are shown one a line. REQUIRES: valid JSON.
std::string Compact(std::string json) {
  bool in_string = false;
  size_t kept = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (!in_string && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) continue;
    if (c == '"') in_string = !in_string;
    json[kept++] = c;
    if (in_string && c == '\\') json[kept++] = json[++i];
  }
  json.resize(kept);
  return json;
}

absl::StatusOr<std::string> CheckedOutput(ports::WorkerResult& result) {
  if (result.output.size() > ports::kWorkerValueBytesMax) {
    return Bad(absl::StrCat("the worker's output has ", result.output.size(), " bytes; at most ",
                            ports::kWorkerValueBytesMax,
                            " are taken, so store what is large elsewhere and name it"));
  }
  if (result.kind == ports::WorkerResult::Kind::kOutputLines) {
    absl::StatusOr<std::string> object = ParseStepOutput(result.output);
    if (object.ok() && object->empty()) return std::string("null");
    return object;
  }
  if (result.output.empty()) return std::string("null");
  if (!IsUtf8(result.output)) return Bad("the worker's output is not UTF-8");
  if (absl::Status json = flowspec::CheckJson(result.output); !json.ok()) {
    return Bad(absl::StrCat("the worker's output is not JSON: ",
                            PrintableLine(json.message(), kMessageBytesMax)));
  }
  return Compact(std::move(result.output));
}

}  // namespace

absl::StatusOr<WorkerTask> ReadWorkerTask(const std::string& body) {
  WorkerTask task{.heartbeat = absl::ZeroDuration()};
  for (const auto& [key, value] : flowspec::ObjectMembers(body)) {
    if (key == "\"input\"") {
      task.input = std::string(value);
    } else if (key == "\"heartbeat\"") {
      absl::StatusOr<absl::Duration> heartbeat = HeartbeatIn(value);
      if (!heartbeat.ok()) return heartbeat.status();
      task.heartbeat = *heartbeat;
    } else if (key == "\"queue\"" || key == "\"task\"") {
      const bool queue = key == "\"queue\"";
      absl::StatusOr<std::string> name = NameIn(value, queue ? "queue" : "task");
      if (!name.ok()) return name.status();
      (queue ? task.queue : task.task) = *std::move(name);
    }
  }
  if (task.queue.empty() || task.task.empty() || task.heartbeat == absl::ZeroDuration()) {
    return Bad("the step's body lacks `queue`, `task` or `heartbeat`");
  }
  if (task.input.size() > ports::kWorkerValueBytesMax) {
    return Bad(absl::StrCat("`worker.input` has ", task.input.size(), " bytes; at most ",
                            ports::kWorkerValueBytesMax,
                            " are sent to a worker, so hand it a path or a URL instead"));
  }
  return task;
}

run::ReportAttempt ReportOf(const ports::AttemptKey& key, ports::WorkerResult result) {
  run::ReportAttempt report{.path = key.path, .attempt = key.attempt};
  report.usage = std::move(result.usage);
  if (result.kind == ports::WorkerResult::Kind::kStopped) {
    report.outcome = run::Outcome::kStopped;
    report.error = {"stopped", "the worker stopped it"};
    return report;
  }
  if (result.kind == ports::WorkerResult::Kind::kFailure) {
    report.outcome = run::Outcome::kFailed;
    const bool kept = IsKind(result.error.kind) && !IsOurs(result.error.kind);
    report.error = {kept ? result.error.kind : "worker",
                    PrintableLine(result.error.message, kMessageBytesMax), result.error.exit_code};
    report.retry_after = result.retry_after;
    return report;
  }
  absl::StatusOr<std::string> output = CheckedOutput(result);
  if (output.ok()) {
    report.output = run::Value::Json(*std::move(output));
  } else {
    report.outcome = run::Outcome::kFailed;
    report.error = {"output", std::string(output.status().message())};
  }
  return report;
}

}  // namespace beamline::exec
