// Whoever evaluates jq programs, away from the daemon's own memory.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace beamline::ports {

struct Evaluation {
  std::string program_digest;                  // equal digests mean equal programs
  std::shared_ptr<const std::string> program;  // flowspec::AssembleProgram
  std::string input;                           // JSON text
  std::string tenant;  // evaluations of two tenants never meet in one process
};

// Thread-safe.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  // Evaluates with at most 250 ms of wall time, 64 MiB of memory and 1 MiB of result; compiling
  // is not counted, but takes at most 5 s. Returns at once; `done` is called exactly once, on a
  // thread of the evaluator, and must not block.
  // Errors: DeadlineExceeded, the time is over; ResourceExhausted, too much memory, input or
  //         result; InvalidArgument, the program does not compile or fails (jq's message);
  //         Internal, the evaluating process was ended from outside twice;
  //         Cancelled, the evaluator was destroyed first.
  virtual void Evaluate(Evaluation evaluation,
                        std::function<void(absl::StatusOr<std::string>)> done) = 0;
};

}  // namespace beamline::ports
