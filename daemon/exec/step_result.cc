// Exit status, $BEAMLINE_OUTPUT, captured stdout and artifacts become one report.
#include "daemon/exec/step_result.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/report.h"
#include "daemon/exec/step_output.h"

namespace beamline::exec {
namespace {

constexpr size_t kMessageBytesMax = 2000;

std::string Hidden(const EndedStep& step, absl::string_view text) {
  std::string plain(text);
  return step.redactor == nullptr ? plain : step.redactor->Redact(plain);
}

run::ReportAttempt Report(const EndedStep& step, run::Outcome outcome, absl::string_view kind,
                          absl::string_view message, int32_t exit_code = -1) {
  run::ReportAttempt report{.path = step.path, .attempt = step.attempt, .outcome = outcome};
  report.error = {std::string(kind), PrintableLine(Hidden(step, message), kMessageBytesMax),
                  exit_code};
  return report;
}

std::string SignalName(int number) {
  const char* name = sigabbrev_np(number);
  return name == nullptr ? absl::StrCat("signal ", number) : absl::StrCat("SIG", name);
}

// The exit code as a shell gives it, and what happened in words.
std::pair<int32_t, std::string> HowItEnded(const EndedStep& step) {
  if (WIFSIGNALED(step.wait_status)) {
    const int number = WTERMSIG(step.wait_status);
    std::string text = absl::StrCat("killed by ", SignalName(number));
    if (number == SIGKILL) {
      absl::StrAppend(&text, " (peak memory ", step.peak_rss_bytes >> 20,
                      " MiB; the system may have run out of it)");
    }
    return {128 + number, text};
  }
  const int code = WEXITSTATUS(step.wait_status);
  std::string text = absl::StrCat("exit code ", code);
  if (code > 128 && sigabbrev_np(code - 128) != nullptr) {
    absl::StrAppend(&text, " (as after ", SignalName(code - 128), ")");
  }
  return {code, text};
}

run::ReportAttempt Stopped(const EndedStep& step) {
  switch (step.reason) {
    case run::StopReason::kCancel:
      return Report(step, run::Outcome::kStopped, "stopped", "stopped on request");
    case run::StopReason::kTimeout:
      return Report(step, run::Outcome::kStopped, "timeout", "stopped: out of time");
    case run::StopReason::kDeadline:
      return Report(step, run::Outcome::kStopped, "deadline", "stopped: its deadline passed");
  }
  return {};
}

// What was written to $BEAMLINE_OUTPUT; empty if nothing. The file is the step's, so it may be
// anything: a link or a pipe is refused, not followed.
absl::StatusOr<std::string> ReadOutputFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return std::string();
  std::string text;
  struct stat info {};
  absl::Status status;
  if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    status = absl::InvalidArgumentError("$BEAMLINE_OUTPUT is not a regular file any more");
  } else {
    // One byte more than is allowed, so that the parser sees that it is too much.
    text.resize(std::min<size_t>(info.st_size, kStepOutputBytesMax + 1));
    size_t size = 0;
    ssize_t n = 0;
    while (size < text.size() && (n = read(fd, &text[size], text.size() - size)) > 0) size += n;
    text.resize(size);
    if (n < 0)
      status = absl::DataLossError(absl::StrCat("cannot read $BEAMLINE_OUTPUT: ", strerror(errno)));
  }
  if (fd >= 0) close(fd);
  unlink(path.c_str());
  if (!status.ok()) return status;
  return text;
}

absl::StatusOr<std::string> Captured(const EndedStep& step) {
  if (!step.captured_all) {
    return absl::ResourceExhaustedError(
        "stdout is over the 16 MiB that `capture` takes; make large results an artifact");
  }
  switch (step.command.capture) {
    case Capture::kText:
      return CaptureText(step.captured);
    case Capture::kLines:
      return CaptureLines(step.captured);
    case Capture::kJson:
      return CaptureJson(step.captured);
    case Capture::kNone:
      break;
  }
  return std::string("null");
}

// The output's JSON text, nothing secret in it.
absl::StatusOr<std::string> OutputOf(const EndedStep& step) {
  const absl::StatusOr<std::string> file = ReadOutputFile(step.output_path);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> written = ParseStepOutput(*file);
  if (!written.ok()) {
    return absl::Status(written.status().code(),
                        absl::StrCat("$BEAMLINE_OUTPUT: ", written.status().message()));
  }
  if (!written->empty() && step.command.capture != Capture::kNone) {
    return absl::InvalidArgumentError(
        "the step has `capture` and also wrote $BEAMLINE_OUTPUT; use one of them");
  }
  absl::StatusOr<std::string> output = written->empty() ? Captured(step) : std::move(written);
  if (!output.ok() || step.redactor == nullptr) return output;
  std::string hidden = step.redactor->Redact(*output);
  if (hidden != *output && !IsJson(hidden)) {
    return absl::InvalidArgumentError("the output has a secret where *** cannot stand for it");
  }
  return hidden;
}

// Of a step that failed, its reports are kept: they say why. One that is missing is not a second
// failure.
std::vector<run::ArtifactRef> ReportsOf(const EndedStep& step, ports::BlobStore& blobs) {
  std::vector<run::ArtifactRef> reports;
  for (const ArtifactRule& rule : step.command.artifacts) {
    if (rule.report.empty()) continue;
    absl::StatusOr<std::vector<run::ArtifactRef>> stored =
        StoreArtifacts({&rule, 1}, step.command.spawn.dir, step.workspace, blobs);
    if (!stored.ok()) continue;
    std::move(stored->begin(), stored->end(), std::back_inserter(reports));
  }
  SummarizeReports(step.redactor.get(), blobs, &reports);
  return reports;
}

}  // namespace

run::ReportAttempt Conclude(const EndedStep& step, ports::BlobStore& blobs) {
  if (step.cause == StopCause::kRequest) {
    unlink(step.output_path.c_str());
    return Stopped(step);
  }
  if (step.cause == StopCause::kTimeout) {
    unlink(step.output_path.c_str());
    return Report(step, run::Outcome::kFailed, "timeout",
                  absl::StrCat("timed out after ", absl::FormatDuration(step.timeout)));
  }
  if (step.wait_status != 0) {
    unlink(step.output_path.c_str());
    auto [code, message] = HowItEnded(step);
    if (!step.stderr_line.empty()) absl::StrAppend(&message, ": ", step.stderr_line);
    run::ReportAttempt report = Report(step, run::Outcome::kFailed, "exit", message, code);
    report.artifacts = ReportsOf(step, blobs);
    return report;
  }
  absl::StatusOr<std::string> output = OutputOf(step);
  if (!output.ok()) {
    return Report(step, run::Outcome::kFailed, "output", output.status().message());
  }
  absl::StatusOr<std::vector<run::ArtifactRef>> artifacts =
      StoreArtifacts(step.command.artifacts, step.command.spawn.dir, step.workspace, blobs);
  if (!artifacts.ok()) {
    return Report(step, run::Outcome::kFailed, "artifact", artifacts.status().message());
  }
  run::ReportAttempt report{.path = step.path, .attempt = step.attempt};
  report.output = run::Value::Json(*std::move(output));
  report.artifacts = *std::move(artifacts);
  SummarizeReports(step.redactor.get(), blobs, &report.artifacts);
  return report;
}

run::ReportAttempt NotStarted(const EndedStep& step, absl::string_view why) {
  return Report(step, run::Outcome::kFailed, "spawn", why);
}

run::ReportAttempt NoInputs(const EndedStep& step, absl::string_view why) {
  return Report(step, run::Outcome::kFailed, "artifact", why);
}

run::ReportAttempt Unknown(const EndedStep& step) {
  return Report(step, run::Outcome::kUnknown, "unknown",
                "the supervisor of processes ended while this step ran; the step was killed, and "
                "how far it got is not known");
}

std::string SpawnFailure(const SpawnRequest& spawn, SpawnStage stage, int error) {
  const std::string reason = strerror(error);
  if (stage == SpawnStage::kDir) {
    return absl::StrCat("cannot start in the directory ", spawn.dir, ": ", reason);
  }
  if (stage == SpawnStage::kFork || stage == SpawnStage::kStdio) {
    return absl::StrCat("the system cannot start another process: ", reason);
  }
  const std::string& program = spawn.argv.front();
  const bool in_path = !absl::StrContains(program, '/');
  std::string message = absl::StrCat("cannot run ", program, ": ");
  if (error == ENOENT && in_path) {
    absl::string_view path = "the default PATH";
    for (const std::string& variable : spawn.env) {
      if (absl::StartsWith(variable, "PATH=")) path = variable;
    }
    return absl::StrCat(message, "not found in ", path);
  }
  if (error == ENOENT) {
    return absl::StrCat(message, "there is no such file in ", spawn.dir,
                        ", or the interpreter that its first line names is missing");
  }
  if (error == EACCES) return absl::StrCat(message, reason, "; is it executable?");
  if (error == ENOEXEC)
    return absl::StrCat(message, "neither a program nor a script with a #! line");
  return absl::StrCat(message, reason);
}

}  // namespace beamline::exec
