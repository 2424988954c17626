// Workers on the other end of streams: what the transport tells of them, and what it is to tell
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/ports/output_store.h"
#include "daemon/run/event.h"
#include "daemon/run/id.h"

namespace beamline::ports {

// Of the JSON text of an input or an output. With what surrounds it, it fits into the 4 MiB that
// every gRPC library takes in one message.
inline constexpr size_t kWorkerValueBytesMax = 3 << 20;
inline constexpr int32_t kWorkerCreditMax = 100'000;
// How often a worker is to be heard, at least.
inline constexpr absl::Duration kWorkerHeartbeat = absl::Seconds(10);

struct AttemptKey {
  run::RunId run;
  std::string path;
  int32_t attempt = 1;

  friend bool operator==(const AttemptKey&, const AttemptKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const AttemptKey& key) {
    return H::combine(std::move(h), key.run, key.path, key.attempt);
  }
};

using WorkerLabels = std::vector<std::pair<std::string, std::string>>;

struct WorkerHello {
  std::string id, tenant, actor, program;
  std::vector<std::pair<std::string, std::string>> serves;  // (queue, task), each once
  int32_t credit = 1;                                       // 0 to kWorkerCreditMax
  WorkerLabels labels;
};

struct Assignment {
  AttemptKey key;
  uint64_t epoch = 0;  // of the lease; grows with every assignment of the step
  std::string queue, task;
  std::string input;  // JSON text; empty: none
  std::string flow_name, step_id, idempotency_key, trace_id;
  absl::Time deadline = absl::InfiniteFuture();  // wall clock
  absl::Duration heartbeat;
};

enum class WorkerCancel : uint8_t { kStopped, kTimeout, kLeaseExpired };

// One worker, to be spoken to. Thread-safe; called under the pool's lock: be brief, call nothing of
// the pool, and take what is said even if the stream is gone.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  virtual void Assign(const Assignment& assignment) = 0;
  virtual void Cancel(const AttemptKey& key, uint64_t epoch, WorkerCancel why, bool force) = 0;
  virtual void Drain(std::string_view reason) = 0;
};

struct WorkerResult {
  enum class Kind : uint8_t { kOutput, kOutputLines, kFailure, kStopped } kind = Kind::kOutput;
  std::string output;  // as the worker sent it: any bytes
  run::Error error;    // of kFailure; the kind as the worker said it
  absl::Duration retry_after = absl::ZeroDuration();
  run::Usage usage;
};

enum class ResultVerdict : uint8_t { kTaken, kOutputInvalid, kStaleEpoch, kUnknownAttempt };

struct Verdict {
  ResultVerdict verdict = ResultVerdict::kTaken;
  std::string message;  // of all but kTaken
};

// For those who look.
struct WorkerAttemptStatus {
  AttemptKey key;
  uint64_t epoch = 0;
  std::string task;
  absl::Time assigned_at;
  bool accepted = false;
  bool given_up = false;           // its lease is over, and the worker has not answered
  std::optional<double> fraction;  // as its last Progress said
  std::string message;
};
struct WorkerStatus {
  WorkerHello hello;  // with the credit of now
  absl::Time attached_at, heard_at;
  bool draining = false, silent = false;
  uint64_t assigned_total = 0;
  std::vector<WorkerAttemptStatus> attempts;
};
struct WorkerQueueStatus {
  std::string queue, task;
  size_t waiting = 0;
  absl::Time waiting_since = absl::InfiniteFuture();  // of the first in line
  int32_t workers = 0;
};
struct WorkerPoolStatus {
  std::vector<WorkerStatus> workers;      // by id
  std::vector<WorkerQueueStatus> queues;  // by queue and task
};

// Thread-safe. Every word of a worker counts as a sign of life. A number that is not attached (any
// more) is answered as if its leases were over.
class WorkerPool {
 public:
  using Number = uint64_t;  // of one stay; never used again
  virtual ~WorkerPool() = default;

  // A worker that may be given work from here on, through `link`.
  // AlreadyExists: a worker of this id is attached; Unavailable: draining.
  virtual absl::StatusOr<Number> Attach(WorkerHello hello, std::shared_ptr<WorkerLink> link) = 0;
  // The stream is gone: the outcome of what it had is unknown.
  virtual void Detach(Number worker) = 0;

  virtual void Heartbeat(Number worker, int32_t credit) = 0;
  virtual void DrainItself(Number worker) = 0;
  virtual void Accept(Number worker, const AttemptKey& key, uint64_t epoch) = 0;
  virtual void Reject(Number worker, const AttemptKey& key, uint64_t epoch,
                      std::string_view reason) = 0;
  virtual void Progress(Number worker, const AttemptKey& key, uint64_t epoch,
                        std::optional<double> fraction, std::string_view message) = 0;
  // Stale chunks are dropped.
  virtual void Print(Number worker, const AttemptKey& key, uint64_t epoch, OutputStream stream,
                     std::string_view bytes) = 0;
  virtual Verdict Finish(Number worker, const AttemptKey& key, uint64_t epoch,
                         WorkerResult result) = 0;

  virtual WorkerPoolStatus Look(const std::string& tenant) = 0;
  // NotFound.
  virtual absl::Status DrainWorker(const std::string& tenant, const std::string& id) = 0;
};

}  // namespace beamline::ports
