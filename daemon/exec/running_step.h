// One attempt while its process runs: what it prints, on its way through the redactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/exec/redactor.h"
#include "daemon/exec/step_inputs.h"
#include "daemon/exec/step_result.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/output_store.h"

namespace beamline::exec {

// Not thread-safe. `sink` must outlive it.
class RunningStep {
 public:
  RunningStep(const ports::Attempt& attempt, std::function<void(run::ReportAttempt)> done,
              ports::OutputSink& sink);

  // What one of its streams printed: goes to the sink (redacted, in chunks of at most 64 KiB) and,
  // for stdout, to the captured value (as it is: hidden when the value is made).
  void Print(ports::OutputStream stream, std::string_view bytes);
  // Nothing more comes: hands out what the redactor held back. Idempotent.
  void EndOutput();

  run::RunId run;
  std::function<void(run::ReportAttempt)> done;
  EndedStep ended;  // filled in as things become known
  std::string attempt_name;
  std::vector<StepInputs::Tree> inputs;
  bool preparing = false;  // the files of earlier steps are being laid out
  pid_t pid = -1;          // once it started
  bool exited = false;
  int open_pipes = 0;
  enum class Alarm { kNone, kTimeout, kGrace, kDrain } alarm = Alarm::kNone;
  uint64_t alarm_ms = 0;               // on the loop's clock
  StopCause asked = StopCause::kNone;  // a signal is on its way

 private:
  void Emit(ports::OutputStream stream, std::string_view bytes);

  ports::OutputSink& sink_;
  std::optional<Redactor::Stream> redacted_[2];
  std::string stderr_tail_;
};

}  // namespace beamline::exec
