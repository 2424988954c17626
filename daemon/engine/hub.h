// Tells those who watch a run that its log has grown.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/mutex.h"
#include "daemon/run/id.h"

namespace beamline::engine {

// What is told is already on disk. A watcher subscribes, then reads the log from its own cursor up
// to what is there, then reads on whenever it is told: no gap, no repeat. Thread-safe.
class Hub {
 public:
  // `seq` is the run's last event on disk. Called on the engine's thread under the hub's lock: be
  // brief and call nothing of the hub.
  using Listener = std::function<void(uint64_t seq, ports::RunStatus status)>;

  // Until the handle is destroyed, which waits for a call under way. The handle must not outlive
  // the hub.
  std::shared_ptr<void> Subscribe(const run::RunId& run, Listener listener);

  void Publish(const run::RunId& run, uint64_t seq, ports::RunStatus status);

 private:
  struct Entry {
    uint64_t id;
    Listener listener;
  };
  void Unsubscribe(const run::RunId& run, uint64_t id);

  ports::Mutex mu_;
  uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<run::RunId, std::vector<Entry>> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::engine
