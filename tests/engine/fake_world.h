// A world that a test holds in its hands: its clock, its executor, its disk.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/engine/engine.h"
#include "daemon/store/memory_blob_store.h"
#include "daemon/store/memory_store.h"

namespace beamline::engine {

class FakeClock : public ports::Clock {
 public:
  absl::Time Now() override { return now; }
  std::array<uint8_t, 10> Entropy() override;
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);

 private:
  std::atomic<uint8_t> next_{0};  // runs begin on several threads
};

// Attempts stay running until the test ends them.
class FakeExecutor : public ports::Executor {
 public:
  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) override;
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force) override;

  // Ends the running attempt of `path`, of the oldest run that has one. REQUIRES: there is one.
  void Succeed(const std::string& path, std::string output = "null");
  void SucceedOf(const run::RunId& run, const std::string& path);
  void Fail(const std::string& path, run::Error error);
  void Finish(const std::string& path, run::ReportAttempt report);
  std::vector<std::string> running() const;  // paths, in alphabetical order

  std::vector<ports::Attempt> started;  // all of them, in order
  std::vector<std::string> stops;       // "build#1 cancel"

 private:
  struct Running {
    int32_t attempt;
    std::function<void(run::ReportAttempt)> done;
  };
  void Finish(std::map<std::pair<std::string, run::RunId>, Running>::iterator at,
              run::ReportAttempt report);
  std::map<std::pair<std::string, run::RunId>, Running> running_;
};

// jq in this very process.
class InlineEvaluator : public ports::Evaluator {
 public:
  void Evaluate(ports::Evaluation evaluation,
                std::function<void(absl::StatusOr<std::string>)> done) override;
  int evaluations = 0;
};

class FakeVault : public ports::Vault {
 public:
  absl::Status Put(const run::RunId& run, const ports::Secrets& secrets) override;
  absl::StatusOr<ports::Secrets> Get(const run::RunId& run) const override;
  void Forget(const run::RunId& run) override { secrets.erase(run); }
  std::map<run::RunId, ports::Secrets> secrets;
};

// Every call may cost 100 tokens and a dollar.
class FakeMeter : public ports::Meter {
 public:
  ports::Estimate MostOf(std::string_view body) const override {
    bodies.emplace_back(body);
    return {{100, 1'000'000'000}, ""};
  }
  mutable std::vector<std::string> bodies;  // that were measured
};

// A disk that fails when it is told to.
class FakeDisk : public store::MemoryStore {
 public:
  absl::Status Append(absl::Span<const ports::RunEvents> batch) override {
    return failure.ok() ? MemoryStore::Append(batch) : failure;
  }
  absl::Status failure;
};

// An engine that moves only when told to, over a disk that outlives it.
class Bench {
 public:
  explicit Bench(int attempts_max = 8) : attempts_max_(attempts_max) { Boot(); }

  // The engine dies as by kill -9, and another one starts on the same disk.
  void Crash();

  // Starts a run of `yaml`. REQUIRES: a valid flow and valid inputs. Not settled yet.
  void Begin(const std::string& yaml, const std::string& inputs = "{}",
             const std::string& request_id = "", const std::string& request_hash = "");
  // Begin, and settle.
  run::RunId Run(const std::string& yaml, const std::string& inputs = "{}");
  // Turns the loop and the writer until nothing moves.
  void Settle();
  void Pass(absl::Duration time) {
    clock.now += time;
    Settle();
  }

  std::vector<run::Event> Log(const run::RunId& id) const;
  std::vector<std::string> History(const run::RunId& id) const;  // as tests/run/describe.h
  ports::RunStatus StatusOf(const run::RunId& id) const { return disk.GetRun(id)->status; }
  // The output that the log has for the step at `path`.
  std::string Output(const run::RunId& id, const std::string& path) const;

  FakeClock clock;
  FakeDisk disk;
  store::MemoryBlobStore blobs;
  InlineEvaluator evaluator;
  FakeVault vault;
  FakeMeter meter;
  std::unique_ptr<FakeExecutor> executor;
  std::unique_ptr<Engine> engine;
  std::vector<absl::StatusOr<Started>> starts;  // answers to Begin
  // What the next runs bring along: files by path, steps to be held, answers in place of models.
  std::map<std::string, std::string> files;
  std::vector<std::string> break_at;
  run::Value llm_answers;
  std::vector<absl::Status> fatal;

 private:
  void Boot();

  const int attempts_max_;
};

}  // namespace beamline::engine
