// Both ends of a worker's attempt as JSON: the body that names its queue and task, and the result
// that becomes a report.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/worker_pool.h"

namespace beamline::exec {

struct WorkerTask {
  std::string queue, task;
  std::string input;         // JSON text; empty: none
  absl::Duration heartbeat;  // 1 s to 24 h
};

// Reads the resolved body of a `worker` step.
// InvalidArgument, for the author of the flow: `queue` or `task` came to something that is no name,
// `heartbeat` to no duration, or the input is over ports::kWorkerValueBytesMax.
absl::StatusOr<WorkerTask> ReadWorkerTask(const std::string& body);

// The report that `result` of a worker leads to; the output without blanks between its tokens. One
// that is not JSON, not UTF-8, nested deeper than kJsonDepthMax or over ports::kWorkerValueBytesMax
// fails, with kind "output". A failure keeps the kind that the worker gave, if it is
// [a-z][a-z0-9_]* and none that means something to the daemon ("unknown", "stopped", …); else it is
// "worker".
run::ReportAttempt ReportOf(const ports::AttemptKey& key, ports::WorkerResult result);

}  // namespace beamline::exec
