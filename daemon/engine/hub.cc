// Subscriptions by run.
#include "daemon/engine/hub.h"

#include <algorithm>

namespace beamline::engine {

std::shared_ptr<void> Hub::Subscribe(const run::RunId& run, Listener listener) {
  ports::MutexLock lock(&mu_);
  const uint64_t id = ++last_id_;
  entries_[run].push_back({id, std::move(listener)});
  return std::shared_ptr<void>(nullptr, [this, run, id](void*) { Unsubscribe(run, id); });
}

void Hub::Unsubscribe(const run::RunId& run, uint64_t id) {
  ports::MutexLock lock(&mu_);
  auto found = entries_.find(run);
  if (found == entries_.end()) return;
  auto& list = found->second;
  list.erase(std::remove_if(list.begin(), list.end(), [&](const Entry& e) { return e.id == id; }),
             list.end());
  if (list.empty()) entries_.erase(found);
}

void Hub::Publish(const run::RunId& run, uint64_t seq, ports::RunStatus status) {
  ports::MutexLock lock(&mu_);
  auto found = entries_.find(run);
  if (found == entries_.end()) return;
  for (const Entry& entry : found->second) entry.listener(seq, status);
}

}  // namespace beamline::engine
