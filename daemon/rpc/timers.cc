// The thread of time limits.
#include "daemon/rpc/timers.h"

#include <algorithm>

namespace beamline::rpc {
namespace {

// Far enough, and no overflow of the clock.
constexpr absl::Duration kDelayMax = absl::Hours(24 * 365);

}  // namespace

Timers::~Timers() {
  std::thread thread;
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
}

std::shared_ptr<void> Timers::After(absl::Duration delay, std::function<void()> fire) {
  const auto at = Clock::now() + absl::ToChronoNanoseconds(std::min(delay, kDelayMax));
  ports::MutexLock lock(&mu_);
  const Key key(at, ++last_);
  due_.emplace(key, std::move(fire));
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  return std::shared_ptr<void>(nullptr, [this, key](void*) { Cancel(key); });
}

void Timers::Cancel(const Key& key) {
  ports::MutexLock lock(&mu_);
  due_.erase(key);
}

void Timers::Loop() {
  ports::MutexLock lock(&mu_);
  while (!stopping_) {
    const Key first = due_.empty() ? Key() : due_.begin()->first;
    const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return stopping_ || (due_.empty() ? first != Key() : due_.begin()->first != first);
    };
    if (due_.empty()) {
      mu_.Await(changed);
      continue;
    }
    const Clock::time_point now = Clock::now();
    if (first.first > now) {
      mu_.AwaitFor(changed, absl::FromChrono(first.first - now));
      continue;
    }
    const std::function<void()> fire = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    fire();
  }
}

}  // namespace beamline::rpc
