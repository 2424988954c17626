// The life of an evaluator child: `beamlined --evaluator`.
#pragma once

namespace beamline::exec {

// How the child ends when it cannot have more memory.
inline constexpr int kEvaluatorOutOfMemoryExit = 77;

// Confines the process (evaluator_confine.h), then compiles and evaluates what comes over the
// socket `fd` until that is closed. Keeps the 16 programs used last. Returns the exit code.
int EvaluatorMain(int fd);

}  // namespace beamline::exec
