// Runs that only wait for a time, a signal or a person are not kept in memory: their log is read
// again when something happens. One costs an entry for its timer, or nothing.
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"

namespace beamline::engine {
namespace {

// Reading a short log again costs less than keeping the run; a long one stays for a while.
constexpr uint64_t kShortLogEvents = 256;
constexpr absl::Duration kLongLogStays = absl::Seconds(30);
constexpr size_t kReadBytes = 4 << 20;

}  // namespace

bool Engine::OnlyWaits(const LiveRun& live) const {
  const run::RunId& id = live.state.start.run;
  return !draining_ && run::RunStatusOf(live.state) == run::Status::kWaiting &&
         live.dispatched == live.state.last_order && !gathering_.index.contains(id) &&
         !(writing_ && writing_->index.contains(id));
}

void Engine::ParkIfIdle(LiveRun& live) {
  if (!OnlyWaits(live)) return;
  if (live.state.seq <= kShortLogEvents) return Park(live);
  if (std::exchange(live.park_later, true)) return;
  SetTimer(live, world_.clock.Now() + kLongLogStays, kParkTimer);
}

void Engine::Park(LiveRun& live) {
  const run::RunId id = live.state.start.run;
  for (const auto& key : live.timers) timers_.erase(key);
  WakeLater(id, live.row_wake_at);
  runs_.erase(id);
  ++parked_count_;
}

// A run that is not in memory is looked at again at `at`.
void Engine::WakeLater(const run::RunId& run, absl::Time at) {
  if (at == absl::InfiniteFuture()) return;
  const auto key = std::pair(at, ++last_timer_);
  timers_.emplace(key, Timer{run, kLoadTimer});
  parked_[run] = key;
}

void Engine::LoadRun(const run::RunId& run) {
  aside_->Do([this, run] {
    LoadedMessage loaded{run, world_.events.GetRun(run), std::vector<run::Event>()};
    bool more = loaded.row.ok() && !ports::IsFinished(loaded.row->status);
    while (more) {
      const uint64_t after = loaded.events->empty() ? 0 : loaded.events->back().seq;
      auto page = world_.events.Read(run, after, kReadBytes);
      if (!page.ok()) {
        loaded.events = page.status();
        break;
      }
      more = !page->empty();
      loaded.events->insert(loaded.events->end(), std::make_move_iterator(page->begin()),
                            std::make_move_iterator(page->end()));
    }
    Post(std::move(loaded));
  });
}

void Engine::Handle(LoadedMessage message) {
  auto waiting = loading_.extract(message.run);
  absl::Status status = message.row.status();
  if (status.ok() && ports::IsFinished(message.row->status)) {
    status = absl::FailedPreconditionError("the run is finished");
  }
  if (status.ok() && lost_.contains(message.run)) {
    status = absl::DataLossError("the run cannot go on; see `beamline daemon status`");
  } else if (status.ok() && Find(message.run) == nullptr) {
    if (const auto timer = parked_.find(message.run); timer != parked_.end()) {
      timers_.erase(timer->second);
      parked_.erase(timer);
    }
    --parked_count_;
    message.row->status = ports::RunStatus::kRunning;  // its events are here
    RecoverRun(*message.row, std::move(message.events));
    if (LiveRun* live = Find(message.run)) {
      live->park_later = true;
      SetTimer(*live, world_.clock.Now() + kLongLogStays, kParkTimer);
    } else {
      status = absl::DataLossError("the run cannot go on; see `beamline daemon status`");
    }
    CountRuns();
  }
  if (waiting.empty()) return;
  for (CommandMessage& command : waiting.mapped()) {
    if (status.ok()) {
      Handle(std::move(command));
    } else if (command.reply) {
      command.reply(status);
    }
  }
}

}  // namespace beamline::engine
