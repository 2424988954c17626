// Time limits of calls: one thread, started with the first of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "daemon/ports/mutex.h"

namespace beamline::rpc {

// Thread-safe.
class Timers {
 public:
  Timers() = default;
  ~Timers();  // what has not fired never does
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // Calls `fire` once, `delay` from now, unless the handle is destroyed before, which waits for a
  // call under way. `fire` runs under a lock: be brief, use no timer. The handle must not outlive
  // this.
  std::shared_ptr<void> After(absl::Duration delay, std::function<void()> fire);

 private:
  using Clock = std::chrono::steady_clock;  // does not step
  using Key = std::pair<Clock::time_point, uint64_t>;

  void Cancel(const Key& key);
  void Loop();

  ports::Mutex mu_;
  absl::btree_map<Key, std::function<void()>> due_ ABSL_GUARDED_BY(mu_);
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::rpc
