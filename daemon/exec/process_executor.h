// Carries out `run` steps: processes, started by the supervisor, watched by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/output_store.h"

namespace beamline::exec {

// Thread-safe. Costs nothing before the first Start: no thread, no supervisor; and no wake-ups
// while nothing runs.
//
// Outcomes. Exit code 0 succeeds; "exit", "output", "artifact" and "spawn" errors fail; "timeout"
// fails (SIGTERM, after the grace period SIGKILL; a step that exits 0 after the SIGTERM still timed
// out); a Stop that reached the process is kStopped. If the supervisor is killed, everything that
// ran is killed too, reported kUnknown, and the next Start makes a new one.
//
// When the step's process has ended, what it left running is killed, in its own session or not
// (supervisor.h): a service that must outlive its step is started by something else.
class ProcessExecutor : public ports::Executor {
 public:
  struct Options {
    std::string work_dir;  // absolute; for $BEAMLINE_OUTPUT, private to this executor
    absl::Duration grace = absl::Seconds(10);  // between SIGTERM and SIGKILL
    // The program that calls SupervisorMain(3).
    std::vector<std::string> supervisor = {"/proc/self/exe", "--supervise"};
  };

  // `sink` and `blobs` must outlive the executor. Write may block for a moment: steps that print
  // faster than that wait.
  ProcessExecutor(Options options, ports::OutputSink& sink, ports::BlobStore& blobs);
  // Kills what runs, reports it (kStopped), ends the supervisor.
  ~ProcessExecutor() override;

  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) override;
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force) override;
  // Removes the run's scratch directory. REQUIRES: none of its attempts runs.
  void ForgetRun(const run::RunId& run);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace beamline::exec
