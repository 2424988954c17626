// Carries out `worker` steps: hands attempts to workers on the other end of streams, and ends their
// leases.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "daemon/exec/worker_queue.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/output_store.h"
#include "daemon/ports/worker_pool.h"

namespace beamline::exec {

// A result whose lease was over when it came. It is kept, never applied.
struct LateResult {
  ports::AttemptKey key;
  uint64_t epoch = 0;
  std::string worker;  // its id
  const char* outcome = "";
  std::string
      output_sha256;  // in the blob store; empty: it had none, or the lease was never its own
  uint64_t output_bytes = 0;
};

// Thread-safe. Without workers it has no thread.
//
// Outcomes. What the worker says, if it has the lease; "timeout" fails, counted from the assignment
// (the worker is asked to stop first, and is given the grace period); "rejected" fails after too
// many workers would not begin; "input" fails before anything is assigned. An attempt whose worker
// was lost, or was silent for longer than the step's `heartbeat`, is kUnknown. A Stop of what still
// waits for a worker is kStopped at once.
//
// The epoch of a lease is the attempt's number times 65,536 plus the number of its assignment: it
// grows over all leases of a step, also over restarts of the daemon, because an attempt that was
// under way when the daemon ended is never assigned again; the next one is.
class WorkerExecutor : public ports::Executor, public ports::WorkerPool {
 public:
  struct Options {
    absl::Duration grace = absl::Seconds(10);  // for an attempt that is asked to stop
    // Any thread, no locks held.
    std::function<void(const LateResult&)> late = [](const LateResult&) {};
  };

  // `sink` and `blobs` outlive the executor.
  WorkerExecutor(Options options, ports::OutputSink& sink, ports::BlobStore& blobs);
  // What is left is reported kStopped. REQUIRES: every worker was detached.
  ~WorkerExecutor() override;

  // Nothing more is assigned, and no worker is taken on.
  void DrainAll();
  // Attempts that no worker has: a drain need not wait for them.
  size_t waiting();

  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) override;
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force) override;

  absl::StatusOr<Number> Attach(ports::WorkerHello hello,
                                std::shared_ptr<ports::WorkerLink> link) override;
  void Detach(Number worker) override;
  void Heartbeat(Number worker, int32_t credit) override;
  void DrainItself(Number worker) override;
  void Accept(Number worker, const ports::AttemptKey& key, uint64_t epoch) override;
  void Reject(Number worker, const ports::AttemptKey& key, uint64_t epoch,
              std::string_view reason) override;
  void Progress(Number worker, const ports::AttemptKey& key, uint64_t epoch,
                std::optional<double> fraction, std::string_view message) override;
  void Print(Number worker, const ports::AttemptKey& key, uint64_t epoch,
             ports::OutputStream stream, std::string_view bytes) override;
  ports::Verdict Finish(Number worker, const ports::AttemptKey& key, uint64_t epoch,
                        ports::WorkerResult result) override;
  ports::WorkerPoolStatus Look(const std::string& tenant) override;
  absl::Status DrainWorker(const std::string& tenant, const std::string& id) override;

  // Ends leases that are over at `now` (of SteadyNow's clock). For tests; a thread does it
  // otherwise.
  void Expire(absl::Time now);

 private:
  struct Job {
    ports::Assignment assignment;                  // epoch and deadline as of the last lease
    std::function<void(run::ReportAttempt)> done;  // empty once reported
    absl::Duration timeout;
    Number worker = 0;                      // of the last lease
    absl::Time waiting_since, assigned_at;  // wall clock
    bool accepted = false;
    std::optional<double> fraction;
    std::string message;
    int rejections = 0;
    // It was asked to end: what it is reported as, whatever the worker says (a success that came
    // before a stop excepted).
    std::optional<run::ReportAttempt> ending;
  };
  struct Worker {
    ports::WorkerHello hello;
    std::shared_ptr<ports::WorkerLink> link;
    absl::Time attached_at;
    uint64_t assigned_total = 0;
  };
  // Reports to be handed on once the lock is released.
  using Reports =
      std::vector<std::pair<std::function<void(run::ReportAttempt)>, run::ReportAttempt>>;
  static void Deliver(Reports reports);

  void Dispatch(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Report(Job& job, run::ReportAttempt report, Reports* reports)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Erase(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The job that `worker` has under this lease, not given up; null otherwise. Counts as hearing it.
  Job* Leased(Number worker, const ports::AttemptKey& key, uint64_t epoch, absl::Time now,
              uint64_t* id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  LateResult Late(Number worker, const ports::AttemptKey& key, uint64_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void KeepLate(LateResult late, const run::ReportAttempt& report, bool with_output);
  void Propose(absl::Time at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Loop();

  const Options options_;
  ports::OutputSink& sink_;
  ports::BlobStore& blobs_;

  ports::Mutex mu_;
  WorkerQueue queue_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, std::unique_ptr<Job>> jobs_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<ports::AttemptKey, uint64_t> job_ids_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<Number, Worker> workers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::pair<std::string, std::string>, Number> numbers_
      ABSL_GUARDED_BY(mu_);  // by tenant and id
  uint64_t last_job_ ABSL_GUARDED_BY(mu_) = 0;
  Number last_worker_ ABSL_GUARDED_BY(mu_) = 0;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time planned_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();  // the thread's next look

  // Apart from mu_, since every unlocking of a mutex wakes those who wait on it.
  ports::Mutex wake_mu_;
  bool woken_ ABSL_GUARDED_BY(wake_mu_) = false;
  bool ending_ ABSL_GUARDED_BY(wake_mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);  // starts with the first worker
};

}  // namespace beamline::exec
