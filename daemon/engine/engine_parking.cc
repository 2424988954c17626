// Runs that only wait for a time, a signal or a person are not kept in memory: their log is read
// again when something happens. One costs an entry for its timer, or nothing.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"

namespace beamline::engine {
namespace {

// Reading a short log again costs less than keeping the run; a long one stays for a while.
constexpr uint64_t kShortLogEvents = 256;
constexpr absl::Duration kLongLogStays = absl::Seconds(30);
constexpr size_t kReadBytes = 4 << 20;
constexpr ptrdiff_t kLoadedTogether = 8;

}  // namespace

bool Engine::OnlyWaits(const LiveRun& live) const {
  const run::RunId& id = live.state.start.run;
  return !draining_ && run::OnlyWaits(live.state) && live.dispatched == live.state.last_order &&
         live.slots.empty() && !gathering_.index.contains(id) &&
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

Engine::LoadedMessage Engine::ReadParked(const run::RunId& run) const {
  LoadedMessage loaded{run, world_.events.GetRun(run), std::vector<run::Event>()};
  bool more = loaded.row.ok();
  while (more) {
    const uint64_t after = loaded.events->empty() ? 0 : loaded.events->back().seq;
    auto page = world_.events.Read(run, after, kReadBytes);
    if (!page.ok()) {
      loaded.events = page.status();
      break;
    }
    more = !page->empty() && page->back().seq < loaded.row->last_seq;  // nobody appends meanwhile
    loaded.events->insert(loaded.events->end(), std::make_move_iterator(page->begin()),
                          std::make_move_iterator(page->end()));
  }
  return loaded;
}

// A few at a time: each time that threads wake each other costs as much as to read a short log.
void Engine::LoadRuns() {
  for (auto next = to_load_.begin(); next != to_load_.end();) {
    const auto count = std::min<ptrdiff_t>(kLoadedTogether, to_load_.end() - next);
    reads_->Do([this, runs = std::vector<run::RunId>(next, next + count)] {
      std::vector<Message> loaded;
      for (const run::RunId& run : runs) loaded.emplace_back(ReadParked(run));
      PostAll(std::move(loaded));
    });
    next += count;
  }
  to_load_.clear();
}

// Takes a run that was read into memory. A finished one is there for the wishes that wait for it.
absl::Status Engine::Adopt(LoadedMessage& message) {
  if (!message.row.ok()) return message.row.status();
  absl::Status lost = absl::DataLossError("the run cannot go on; see `beamline daemon status`");
  if (lost_.contains(message.run)) return lost;
  if (Find(message.run) != nullptr) return absl::OkStatus();
  const bool finished = ports::IsFinished(message.row->status);
  if (const auto timer = parked_.find(message.run); timer != parked_.end()) {
    timers_.erase(timer->second);
    parked_.erase(timer);
  }
  if (!finished) --parked_count_;
  // As on disk: once the run goes on, its row has to say so, or a restart takes it for waiting.
  RecoverRun(*message.row, std::move(message.events));
  LiveRun* live = Find(message.run);
  if (live == nullptr) return lost;
  if (!finished) {
    live->park_later = true;
    SetTimer(*live, world_.clock.Now() + kLongLogStays, kParkTimer);
  }
  return absl::OkStatus();
}

// Forgets a run that was looked at, is finished and stays so.
void Engine::LetGo(const run::RunId& run) {
  const LiveRun* live = Find(run);
  const bool over = live != nullptr && run::IsTerminal(live->state.status) &&
                    !gathering_.index.contains(run) && !(writing_ && writing_->index.contains(run));
  if (over) runs_.erase(run);
}

void Engine::Handle(LoadedMessage message) {
  auto waiting = loading_.extract(message.run);
  const absl::Status status = Adopt(message);
  if (!waiting.empty()) {
    for (CommandMessage& command : waiting.mapped()) {
      if (status.ok()) {
        Handle(std::move(command));
      } else if (command.reply) {
        command.reply(status);
      }
    }
  }
  LetGo(message.run);
  CountRuns();
}

}  // namespace beamline::engine
