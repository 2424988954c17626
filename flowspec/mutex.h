// A mutex with conditions that clang's thread-safety analysis and the thread sanitizer understand.
// It lies here because the daemon and the terminal share no other room. Debian's Abseil is built
// without the sanitizer's annotations, so absl::Mutex makes it report races where there are none;
// std::mutex is seen through.
#pragma once

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace beamline::flowspec {

// Whoever waits must not destroy it before those who unlock have returned: they notify after the
// unlock, since a thread that is woken before it would only go to sleep again.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    const bool waiters = waiters_ > 0;
    mu_.unlock();
    if (waiters) changed_.notify_all();
  }

  // Returns when `holds()` is true, which is looked at whenever somebody unlocks.
  template <typename Predicate>
  void Await(const Predicate& holds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    AwaitFor(holds, absl::InfiniteDuration());
  }
  // Likewise, or after `timeout`; what `holds()` is then.
  template <typename Predicate>
  bool AwaitFor(const Predicate& holds, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    std::unique_lock<std::mutex> lock(mu_, std::adopt_lock);
    ++waiters_;
    bool held = true;
    if (timeout == absl::InfiniteDuration()) {
      changed_.wait(lock, holds);
    } else {
      held = changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), holds);
    }
    --waiters_;
    lock.release();
    return held;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  int waiters_ = 0;  // guarded by mu_
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(*mu) { mu_.Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

}  // namespace beamline::flowspec
