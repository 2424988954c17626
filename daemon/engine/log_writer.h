// Group commit: while one batch is written and synced, the engine gathers the next.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
  // Deletes a finished run between appends.
  void Delete(const run::RunId& id, std::function<void(absl::Status)> done);

  // Does `work` between appends: whatever else writes to the store's one connection.
  void Do(std::function<void()> work);

  void Start();
  // Writes what has been handed over, checkpoints the store and ends the thread.
  void Stop();

  // One turn of the thread: does the oldest task, waiting up to `wait` for one. When none comes
  // and something was written since, checkpoints. False: nothing was done.
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

  void Run(const Task& task);

  ports::EventStore& store_;
  ports::Mutex mu_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool dirty_ = false;  // of the writer's thread: appended since the last checkpoint
  std::thread thread_;
};

}  // namespace beamline::engine
