// The thread that watches processes: their pipes, their time limits, their end.
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "daemon/exec/running_step.h"
#include "daemon/exec/scratch.h"
#include "daemon/exec/step_inputs.h"
#include "daemon/exec/supervisor_link.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/output_store.h"

namespace beamline::exec {

// Everything that runs on the loop's thread. Not thread-safe: the methods are called there.
class ProcessLoop {
 public:
  // Handles live on `loop` until `finished` (see Finish).
  ProcessLoop(uv_loop_t* loop, const std::string& work_dir, absl::Duration grace,
              std::vector<std::string> supervisor, ports::OutputSink& sink,
              ports::BlobStore& blobs);
  ~ProcessLoop();

  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done);
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force);
  void Forget(const run::RunId& run) {
    inputs_.Forget(run);
    scratch_.Forget(run);
  }

  // Kills everything; once all is reported, ends the supervisor, closes its handles and calls
  // `finished`.
  void Finish(std::function<void()> finished);

 private:
  struct Pipe;
  struct Work;
  struct Preparation;

  absl::Status MakePlaces(RunningStep& step, const ports::Attempt& attempt);
  void Prepare(uint64_t key, RunningStep& step, ports::Attempt attempt);
  void OnPrepared(const Preparation& prepared);
  void Begin(uint64_t key, RunningStep& step, const ports::Attempt& attempt);
  absl::Status Launch(uint64_t key, RunningStep& step, const ports::Attempt& attempt);
  void WatchPipe(uint64_t key, RunningStep& step, ports::OutputStream stream, int fd);
  bool ReadPipe(Pipe* pipe);
  void ClosePipe(Pipe* pipe);
  void DrainPipes(uint64_t key, size_t bytes_max);
  void ClosePipes(uint64_t key);

  void OnReply(const Reply& reply);
  void OnExit(uint64_t key, RunningStep& step, const Reply& reply);
  void OnLost();
  void AskToEnd(uint64_t key, RunningStep& step, StopCause cause, bool force);
  void SetAlarm(uint64_t key, RunningStep& step, RunningStep::Alarm alarm, absl::Duration after);
  void ClearAlarm(uint64_t key, RunningStep& step);
  void ArmTimer();
  void OnTimer();
  void OnAlarm(uint64_t key, RunningStep& step);

  std::unique_ptr<RunningStep> Take(uint64_t key);
  void ConcludeIfEnded(uint64_t key);
  void ConcludeOnWorker(std::unique_ptr<RunningStep> step);
  void FinishIfIdle();

  uv_loop_t* const loop_;
  const absl::Duration grace_;
  const Variables base_environment_;
  ports::OutputSink& sink_;
  ports::BlobStore& blobs_;
  Scratch scratch_;
  StepInputs inputs_;
  SupervisorLink link_;
  std::vector<char> read_buffer_;
  uint64_t next_key_ = 1;
  absl::flat_hash_map<uint64_t, std::unique_ptr<RunningStep>> running_;
  absl::flat_hash_map<uint64_t, std::array<Pipe*, 2>> pipes_;
  absl::btree_set<std::pair<uint64_t, uint64_t>> alarms_;  // (ms, key)
  uv_timer_t* timer_;                                      // frees itself when closed
  int working_ = 0;                                        // on worker threads
  std::function<void()> finished_;                         // set: nothing new starts
};

}  // namespace beamline::exec
