// A few threads for what would hold the engine up: waiting for evaluations, reading large values.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/mutex.h"

namespace beamline::engine {

// Threads start with the first work; an idle daemon has none.
class Aside {
 public:
  explicit Aside(size_t threads_max) : threads_max_(threads_max) {}
  // Works off what was handed over, then ends the threads.
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  void Do(std::function<void()> work);
  // Returns when all that was handed over before is done.
  void Wait();

 private:
  void Loop();

  const size_t threads_max_;
  ports::Mutex mu_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mu_);
  size_t idle_ ABSL_GUARDED_BY(mu_) = 0;
  size_t unfinished_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::engine
