// One frame in, one frame out; nothing here outlives the process, so errors of the socket end it.
#include "daemon/exec/evaluator_child.h"

#include <unistd.h>

#include <cerrno>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "daemon/exec/evaluator_confine.h"
#include "daemon/exec/evaluator_wire.h"
#include "flowspec/jq.h"

namespace beamline::exec {
namespace {

constexpr size_t kProgramsMax = 16;

std::string EncodeError(const absl::Status& status) {
  constexpr size_t kMessageBytesMax = 16 * 1024;
  return EncodeFrame(FrameKind::kError, static_cast<uint32_t>(status.raw_code()), "",
                     std::string(status.message().substr(0, kMessageBytesMax)));
}

class Child {
 public:
  explicit Child(EvaluatorLimits limits) : limits_(limits) {}

  // The encoded answer.
  std::string Answer(const Frame& frame) {
    limits_.ExtendProcessorTime();
    return frame.kind == FrameKind::kCompile ? Compile(frame) : Evaluate(frame);
  }

 private:
  struct Program {
    std::string digest;
    std::unique_ptr<flowspec::JqProgram> jq;
  };

  std::string Compile(const Frame& frame) {
    limits_.AllowProgram();
    if (programs_.size() >= kProgramsMax) programs_.pop_back();
    absl::StatusOr<std::unique_ptr<flowspec::JqProgram>> jq =
        flowspec::JqProgram::Compile(frame.body);
    const absl::Status compiled = jq.status();
    if (compiled.ok()) programs_.push_front({frame.digest, *std::move(jq)});
    limits_.AllowEvaluation();
    if (!compiled.ok()) return EncodeError(compiled);
    return EncodeFrame(FrameKind::kCompiled, 0, frame.digest, "");
  }

  std::string Evaluate(const Frame& frame) {
    for (auto it = programs_.begin(); it != programs_.end(); ++it) {
      if (it->digest != frame.digest) continue;
      programs_.splice(programs_.begin(), programs_, it);
      absl::StatusOr<std::string> result = it->jq->Run(frame.body);
      if (!result.ok()) return EncodeError(result.status());
      if (result->size() > kEvaluatorResultBytesMax) {
        return EncodeError(absl::ResourceExhaustedError("the result is larger than 1 MiB"));
      }
      return EncodeFrame(FrameKind::kResult, 0, frame.digest, *result);
    }
    return EncodeFrame(FrameKind::kUnknownProgram, 0, frame.digest, "");
  }

  EvaluatorLimits limits_;
  std::list<Program> programs_;  // the one used last in front
};

bool WriteAll(int fd, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

int EvaluatorMain(int fd) {
  std::set_new_handler([] { _exit(kEvaluatorOutOfMemoryExit); });
  absl::StatusOr<EvaluatorLimits> limits = EvaluatorLimits::Confine(fd);
  if (!limits.ok()) return 1;
  Child child(*limits);
  FrameReader frames(kEvaluatorInputBytesMax);
  char buffer[64 * 1024];
  while (true) {
    while (std::optional<Frame> frame = frames.Next()) {
      if (!WriteAll(fd, child.Answer(*frame))) return 0;
    }
    if (frames.broken()) return 1;
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    frames.Append({buffer, static_cast<size_t>(n)});
  }
}

}  // namespace beamline::exec
