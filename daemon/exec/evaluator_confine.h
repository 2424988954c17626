// The walls that an evaluator child puts around itself before it reads its first program.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"

namespace beamline::exec {

inline constexpr size_t kEvaluationBytesMax = 64 << 20;
// Beside one evaluation: up to 16 compiled programs. A flow of 500 expressions takes 4 MiB.
inline constexpr size_t kProgramBytesMax = 128 << 20;

// Memory and processor time that the process may still take.
class EvaluatorLimits {
 public:
  // Confines the calling process, for good: `fd`, which must be 3, stays its only file but
  // for /dev/null and its own memory figures; it gets no core, no new
  // privileges, dies with its parent's thread, can start nothing and open nothing (seccomp, where
  // the kernel has it), and has the memory it maps now plus the two limits above.
  static absl::StatusOr<EvaluatorLimits> Confine(int fd);

  // While a program is compiled: all of the memory.
  void AllowProgram();
  // Afterwards: kEvaluationBytesMax more than the programs hold.
  void AllowEvaluation();
  // Keeps the processor time a few seconds ahead of what was used: the daemon kills an evaluation
  // long before, unless it is not there any more.
  void ExtendProcessorTime();

 private:
  explicit EvaluatorLimits(int statm) : statm_(statm) {}
  size_t MappedBytes() const;

  int statm_;
  size_t memory_max_ = 0;
  long cpu_seconds_ = 0;
};

}  // namespace beamline::exec
