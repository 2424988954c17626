// A plain pool.
#include "daemon/engine/aside.h"

namespace beamline::engine {

Aside::~Aside() {
  std::vector<std::thread> threads;
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void Aside::Do(std::function<void()> work) {
  ports::MutexLock lock(&mu_);
  work_.push_back(std::move(work));
  ++unfinished_;
  if (work_.size() > idle_ && threads_.size() < threads_max_ && !stopping_) {
    threads_.emplace_back([this] { Loop(); });
  }
}

void Aside::Wait() {
  ports::MutexLock lock(&mu_);
  auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return unfinished_ == 0; };
  mu_.Await(done);
}

void Aside::Loop() {
  auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !work_.empty() || stopping_; };
  while (true) {
    std::function<void()> work;
    {
      ports::MutexLock lock(&mu_);
      ++idle_;
      mu_.Await(ready);
      --idle_;
      if (work_.empty()) return;
      work = std::move(work_.front());
      work_.pop_front();
    }
    work();
    ports::MutexLock lock(&mu_);
    --unfinished_;
  }
}

}  // namespace beamline::engine
