// From the end of a step's process to the report about its attempt.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "daemon/exec/redactor.h"
#include "daemon/exec/step_command.h"
#include "daemon/exec/supervisor_wire.h"
#include "daemon/ports/blob_store.h"
#include "daemon/run/command.h"

namespace beamline::exec {

// Why a process was asked to end.
enum class StopCause { kNone, kTimeout, kRequest };

// An attempt whose process has ended (or is not known to: see Unknown).
struct EndedStep {
  std::string path;
  int32_t attempt = 1;
  StepCommand command;
  std::string workspace;
  std::string output_path;  // of $BEAMLINE_OUTPUT; there need be no file
  absl::Duration timeout;
  std::shared_ptr<const Redactor> redactor;  // null: nothing to hide

  int wait_status = 0;
  uint64_t peak_rss_bytes = 0;
  StopCause cause = StopCause::kNone;  // kNone too if it ended before the signal reached it
  run::StopReason reason = run::StopReason::kCancel;  // with kRequest
  std::string captured;                               // stdout, if command.capture wants it
  bool captured_all = true;  // false: there was more than kStepOutputBytesMax
  std::string stderr_line;   // the last one, redacted and printable
};

// What became of it: reads and removes the $BEAMLINE_OUTPUT file, stores artifacts (of a step whose
// exit code is not 0 only its reports, as far as there are some). May take as
// long as copying files does; any thread.
//
// Succeeded is exit code 0 before a signal of ours reached the process. The output is the object
// written to $BEAMLINE_OUTPUT, or null; with `capture` it is the captured value, and writing
// $BEAMLINE_OUTPUT as well is an error (dropping either silently would be worse).
run::ReportAttempt Conclude(const EndedStep& step, ports::BlobStore& blobs);

// Likewise for a process that did not start ("spawn"), and one of which nobody can say any more
// what became of it ("unknown").
run::ReportAttempt NotStarted(const EndedStep& step, absl::string_view why);
// And for one whose files of earlier steps could not be laid out ("artifact").
run::ReportAttempt NoInputs(const EndedStep& step, absl::string_view why);
run::ReportAttempt Unknown(const EndedStep& step);

// What hindered the start, for people.
std::string SpawnFailure(const SpawnRequest& spawn, SpawnStage stage, int error);

}  // namespace beamline::exec
