// One worker's stay, whichever side dialled: its words to the pool, the pool's words to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/worker.pb.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/worker_pool.h"

namespace beamline::rpc {

inline constexpr int32_t kWorkerProtocol = 1;
// Of one message to a worker, unless one word alone is larger.
inline constexpr size_t kWorkerBatchBytesMax = 1 << 20;
// What every gRPC library receives without being told to.
inline constexpr int64_t kWorkerMessageBytesMax = 4 << 20;

using DaemonWords = google::protobuf::RepeatedPtrField<v1::DaemonWord>;
using WorkerWords = google::protobuf::RepeatedPtrField<v1::WorkerWord>;

// `hello` as the pool takes it. InvalidArgument, FailedPrecondition (another protocol).
absl::StatusOr<ports::WorkerHello> ReadHello(const v1::Hello& hello, const std::string& tenant,
                                             const std::string& actor);
void WriteAssign(const ports::Assignment& assignment, v1::Assign* assign);
ports::WorkerResult ReadResult(v1::Result* result);  // takes the output out of it
// Nothing if the run's id is malformed.
std::optional<ports::AttemptKey> ReadRef(const v1::AttemptRef& ref);

// Thread-safe, except that one thread at a time calls Hear.
class WorkerSession : public ports::WorkerLink, public std::enable_shared_from_this<WorkerSession> {
 public:
  // `pool` outlives the session. `wake` is called (under a lock of the pool: be brief) when there
  // is something to Take and nobody is known to be taking.
  WorkerSession(ports::WorkerPool& pool, std::string tenant, std::string actor,
                std::string daemon_version, std::function<void()> wake);

  // What the worker says, in order. An error ends the stream; what was said before it counts. The
  // words may be moved from.
  absl::Status Hear(WorkerWords* words);
  // Moves the next batch to `words`, which is empty. False: there is none, and the next one wakes.
  bool Take(DaemonWords* words);
  // The stream is over: detaches the worker. Nothing is woken any more once this returns.
  // Idempotent.
  void Close();
  bool said_goodbye() const { return goodbye_; }

  void Assign(const ports::Assignment& assignment) override;
  void Cancel(const ports::AttemptKey& key, uint64_t epoch, ports::WorkerCancel why,
              bool force) override;
  void Drain(std::string_view reason) override;

 private:
  struct Batch {
    DaemonWords words;
    size_t bytes = 0;
  };
  absl::Status Meet(const v1::Hello& hello);
  void HearResult(v1::Result* result);
  v1::DaemonWord* Add(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  ports::WorkerPool& pool_;
  const std::string tenant_, actor_, daemon_version_;
  std::optional<ports::WorkerPool::Number> number_;  // of Hear's thread, and Close
  bool goodbye_ = false;                             // of Hear's thread

  ports::Mutex mu_;
  std::function<void()> wake_ ABSL_GUARDED_BY(mu_);  // empty once closed
  bool taken_ ABSL_GUARDED_BY(mu_) = false;          // somebody takes until there is nothing more
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Batch> batches_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::rpc
