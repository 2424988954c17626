// Group commit: while one batch is written and synced, the engine gathers the next.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/mutex.h"

namespace beamline::engine {

using Batch = std::vector<ports::RunEvents>;

// The one thread that writes to the event store. A failed append is final: `done` gets its status
// and the process is to end, so that recovery starts from what is on disk.
class LogWriter {
 public:
  explicit LogWriter(ports::EventStore& store) : store_(store) {}
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Appends `batch`; `done` is called on the writer's thread when it is on disk.
  void Append(std::shared_ptr<const Batch> batch, std::function<void(absl::Status)> done);
  // Appends `batch` on the caller's thread, for a caller that has nothing else to do meanwhile: it
  // spares the two wake-ups, which take as long as a third of a quick disk's sync. nullopt: the
  // writer has no thread of its own yet, and whoever drives it wants to see each step.
  std::optional<absl::Status> AppendHere(const Batch& batch);
  // Deletes a finished run between appends.
  void Delete(const run::RunId& id, std::function<void(absl::Status)> done);

  // Does `work` between appends: whatever else writes to the store's one connection.
  void Do(std::function<void()> work);

  void Start();
  // Writes what has been handed over, checkpoints the store and ends the thread.
  void Stop();

  // One turn of the thread: does what was handed over, waiting up to `wait` for it. When nothing
  // comes and nothing was written meanwhile, checkpoints what was before. False: nothing was done.
  bool Step(absl::Duration wait);

 private:
  struct AppendTask {
    std::shared_ptr<const Batch> batch;
    std::function<void(absl::Status)> done;
  };
  struct DeleteTask {
    run::RunId id;
    std::function<void(absl::Status)> done;
  };
  using Task = std::variant<AppendTask, DeleteTask, std::function<void()>>;

  void Run(const Task& task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_mu_);
  bool IsTidy();

  // Held while the store is written to. Nobody waits for a condition of it, so that unlocking wakes
  // nobody.
  ports::Mutex store_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  ports::EventStore& store_;
  // Writes so far; how many of them there were when the thread last looked, and when it last
  // checkpointed.
  uint64_t written_ ABSL_GUARDED_BY(store_mu_) = 0;
  uint64_t seen_ ABSL_GUARDED_BY(store_mu_) = 0;
  uint64_t tidied_ ABSL_GUARDED_BY(store_mu_) = 0;
  ports::Mutex mu_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace beamline::engine
