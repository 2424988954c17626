// Evaluates jq in child processes, so that an expression may hang, grow or crash without the daemon
// noticing more than an error.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "daemon/exec/evaluator_process.h"
#include "daemon/ports/evaluator.h"
#include "daemon/ports/mutex.h"

namespace beamline::exec {

// Children are started when there is work and ended when there was none for `idle_max`. A child
// serves one tenant; where all are taken, an idle one of another tenant is replaced.
// One thread does it all; `done` runs on it.
class EvaluatorPool : public ports::Evaluator {
 public:
  struct Options {
    std::vector<std::string> command;  // absolute path and arguments of what calls EvaluatorMain(3)
    size_t children_max = 2;
    absl::Duration evaluation_max = absl::Milliseconds(250);
    absl::Duration compilation_max = absl::Seconds(5);  // the start of a child included
    absl::Duration idle_max = absl::Seconds(60);
  };

  explicit EvaluatorPool(Options options);
  // Ends the children; evaluations that are not done are given Cancelled.
  ~EvaluatorPool() override;

  void Evaluate(ports::Evaluation evaluation,
                std::function<void(absl::StatusOr<std::string>)> done) override;

  // The children that run now.
  std::vector<pid_t> Children() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Job {
    ports::Evaluation evaluation;
    std::function<void(absl::StatusOr<std::string>)> done;
    bool repeated = false;  // its first child was ended from outside
  };
  struct Child {
    EvaluatorProcess process;
    std::string tenant;
    absl::flat_hash_set<std::string> programs;  // digests it is known to have compiled
    std::unique_ptr<Job> job;                   // null if idle
    bool compiling = false;
    Clock::time_point until;  // end of its time for what it does; if idle, of its life
  };

  void Loop();
  bool TakeInbox();
  void Dispatch();
  // An idle child for `evaluation`, started or replaced if need be; null if all are busy.
  absl::StatusOr<Child*> FindChild(const ports::Evaluation& evaluation);
  void Begin(Child& child);
  void Compile(Child& child);
  void Poll();
  void Serve(Child& child, short events);
  void OnFrame(Child& child, Frame frame);
  void OnGone(Child& child);
  void OnTimeOver(Child& child);
  void Finish(Child& child, absl::StatusOr<std::string> result);
  void Drop(const Child& child);
  void PublishChildren();

  const Options options_;
  const int wake_fd_;

  mutable ports::Mutex mu_;
  std::deque<std::unique_ptr<Job>> inbox_ ABSL_GUARDED_BY(mu_);
  std::vector<pid_t> pids_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  // Of the thread alone.
  std::deque<std::unique_ptr<Job>> queue_;
  std::vector<std::unique_ptr<Child>> children_;

  std::thread thread_;
};

}  // namespace beamline::exec
