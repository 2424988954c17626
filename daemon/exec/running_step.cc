// Each stream has its own redactor, as a secret may be split between two reads of it.
#include "daemon/exec/running_step.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/step_output.h"

namespace beamline::exec {
namespace {

constexpr size_t kChunkBytesMax = 64 << 10;
constexpr size_t kTailBytesMax = 4096;
constexpr size_t kStderrLineBytesMax = 200;

std::string LastLine(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  if (const size_t newline = text.rfind('\n'); newline != text.npos)
    text.remove_prefix(newline + 1);
  return PrintableLine(text, kStderrLineBytesMax);
}

}  // namespace

RunningStep::RunningStep(const ports::Attempt& attempt,
                         std::function<void(run::ReportAttempt)> done_, ports::OutputSink& sink)
    : run(attempt.run), done(std::move(done_)), attempt_name(AttemptName(attempt)), sink_(sink) {
  ended.path = attempt.path;
  ended.attempt = attempt.attempt;
  ended.workspace = attempt.workspace;
  ended.timeout = attempt.timeout;
  const std::vector<std::string> secrets = SecretTexts(attempt);
  if (secrets.empty()) return;
  ended.redactor = std::make_shared<const Redactor>(secrets);
  for (auto& stream : redacted_) stream.emplace(*ended.redactor);
}

void RunningStep::Print(ports::OutputStream stream, std::string_view bytes) {
  if (stream == ports::OutputStream::kStdout && ended.command.capture != Capture::kNone) {
    const size_t room = kStepOutputBytesMax - ended.captured.size();
    if (bytes.size() > room) ended.captured_all = false;
    ended.captured.append(bytes.substr(0, room));
  }
  auto& redacted = redacted_[stream == ports::OutputStream::kStderr];
  if (!redacted) return Emit(stream, bytes);
  std::string shown;
  redacted->Append(bytes, &shown);
  Emit(stream, shown);
}

void RunningStep::EndOutput() {
  for (ports::OutputStream stream : {ports::OutputStream::kStdout, ports::OutputStream::kStderr}) {
    auto& redacted = redacted_[stream == ports::OutputStream::kStderr];
    if (!redacted) continue;
    std::string shown;
    redacted->Finish(&shown);
    Emit(stream, shown);
  }
  ended.stderr_line = LastLine(stderr_tail_);
}

void RunningStep::Emit(ports::OutputStream stream, std::string_view bytes) {
  if (stream == ports::OutputStream::kStderr) {
    stderr_tail_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kTailBytesMax)));
    if (stderr_tail_.size() > kTailBytesMax) {
      stderr_tail_.erase(0, stderr_tail_.size() - kTailBytesMax);
    }
  }
  while (!bytes.empty()) {
    ports::OutputChunk chunk{.path = ended.path, .attempt = ended.attempt, .stream = stream};
    chunk.time = absl::Now();
    chunk.bytes = std::string(bytes.substr(0, kChunkBytesMax));
    bytes.remove_prefix(chunk.bytes.size());
    sink_.Write(run, std::move(chunk));
  }
}

}  // namespace beamline::exec
