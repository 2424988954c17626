// A scheduler over an engine and a disk that the test moves by hand, and can take the power from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/schedule/scheduler.h"
#include "tests/engine/fake_world.h"

namespace beamline::schedule {

// Thrown out of the scheduler at the moment that a test has chosen.
struct PowerCut {};

// jq in this very process, which takes too long as often as it is told to.
class SlowEvaluator : public engine::InlineEvaluator {
 public:
  void Evaluate(ports::Evaluation evaluation,
                std::function<void(absl::StatusOr<std::string>)> done) override {
    if (timeouts-- > 0) return done(absl::DeadlineExceededError("took longer than 250 ms"));
    InlineEvaluator::Evaluate(std::move(evaluation), std::move(done));
  }
  int timeouts = 0;
};

class World {
 public:
  World() { Boot(); }

  // Makes `yaml` the current version of its name, as `beamline flow register` does.
  void Register(const std::string& yaml);
  void Remove(const std::string& name);

  // The clock says `time` (RFC 3339), and everything that follows from it happens.
  void At(const std::string& time);
  void Pass(absl::Duration time);
  // One turn after another, until nothing moves.
  void Settle();
  // The process dies, as by kill -9, and another one starts on the same disk.
  void Restart();
  // Ends the attempt that runs now, and with it its run.
  void EndRun(bool well = true);

  std::vector<ports::RunRow> Runs(const std::string& flow = "") const;  // oldest first
  std::vector<std::string> Inputs(const std::string& flow = "") const;  // of each run, JSON
  ports::TriggerRow Trigger(const std::string& flow) const;
  std::string Decision(const std::string& flow) const;  // "skipped: because …"

  engine::Bench bench;
  SlowEvaluator evaluator;  // of the scheduler; the engine has its own
  std::unique_ptr<Scheduler> scheduler;
  bool draining = false;
  std::vector<std::string> decisions;  // all of them, in order

  // The power is cut at operation `cut_at` (from 0; a write or a start): before it is done, or
  // after, when the scheduler has not heard of it.
  int cut_at = -1;
  bool cut_after = false;
  int operations = 0;

 private:
  void Boot();
  void Operate(const std::function<void()>& operation);
};

}  // namespace beamline::schedule
