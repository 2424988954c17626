// From decisions to disk: what is gathered while one batch is written becomes the next one.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"

namespace beamline::engine {
namespace {

// A batch of so many events takes no longer to write than to sync.
constexpr size_t kFewEvents = 16;

ports::RunStatus RowStatus(run::Status status) {
  switch (status) {
    case run::Status::kWaiting:
      return ports::RunStatus::kWaiting;
    case run::Status::kSucceeded:
      return ports::RunStatus::kSucceeded;
    case run::Status::kFailed:
      return ports::RunStatus::kFailed;
    case run::Status::kCancelled:
      return ports::RunStatus::kCancelled;
    case run::Status::kPending:
      return ports::RunStatus::kPending;
    case run::Status::kPaused:
      return ports::RunStatus::kPaused;
    default:
      return ports::RunStatus::kRunning;
  }
}

// When a run that only waits goes on by itself.
absl::Time NextWake(const run::RunState& state) {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [order, owed] : state.owed) {
    if (owed.kind != run::OwedKind::kWake) continue;
    next =
        std::min(next, owed.node == run::kRunNode ? state.wake_at : state.node(owed.node).wake_at);
  }
  return next;
}

ports::RunRow RowOf(const run::RunState& state, ports::RunStatus status, absl::Time wake_at) {
  ports::RunRow row{state.start.run,         state.start.tenant,
                    state.start.project,     state.start.flow_name,
                    state.start.flow_digest, status,
                    state.start.labels,      state.actor,
                    state.started_at};
  if (ports::IsFinished(status)) row.finished_at = state.finished_at;
  row.last_seq = state.seq;
  if (!state.error.ok()) row.error = state.error.message;
  row.wake_at = wake_at;
  row.turn = state.start.concurrency_key;
  return row;
}

}  // namespace

// What the facts change about the whole, before the row takes the new status.
void Engine::Count(LiveRun& live, ports::RunStatus status, const std::vector<run::Event>& events) {
  const absl::Time now = events.back().time;
  if (events.front().seq == 1) {
    tally_.Started(status, now);
  } else if (status != live.row_status) {
    tally_.Moved(live.row_status, status, now);
  }
  for (const run::Event& event : events) {
    const auto* finished = std::get_if<run::AttemptFinished>(&event.fact);
    // What a sub-flow spent was counted when it spent it.
    if (finished != nullptr && finished->child_run.empty()) tally_.Spent(finished->usage, now);
  }
}

void Engine::Record(LiveRun& live, std::vector<run::Event> events, NewRun fresh) {
  const ports::RunStatus status = RowStatus(run::RunStatusOf(live.state));
  Count(live, status, events);
  ReleaseSlots(live, events);
  ReleaseTurns(live, events);
  live.artifacts.Forget(events);
  ForgetItems(live, events);
  const run::RunId& id = live.state.start.run;
  auto [place, added] = gathering_.index.emplace(id, gathering_.marks.size());
  if (added) {
    gathering_.batch->push_back({id,
                                 events.front().seq - 1,
                                 {},
                                 std::nullopt,
                                 std::move(fresh.flows),
                                 std::move(fresh.key),
                                 std::move(fresh.key_hash)});
    gathering_.marks.push_back({id});
  }
  ports::RunEvents& entry = (*gathering_.batch)[place->second];
  for (const run::Event& event : events) {
    if (std::holds_alternative<run::RunReopened>(event.fact)) LetBackIn(live);
    const auto* finished = std::get_if<run::AttemptFinished>(&event.fact);
    if (finished == nullptr || finished->cache_key.empty()) continue;
    entry.cached.push_back({finished->cache_key, event.seq, event.time, finished->cached_until});
  }
  for (run::DeadLetterChange& change : run::DeadLetterChanges(live.state, events)) {
    entry.dead_letters.push_back(std::move(change));
  }
  entry.events.insert(entry.events.end(), std::make_move_iterator(events.begin()),
                      std::make_move_iterator(events.end()));
  const absl::Time wake_at =
      status == ports::RunStatus::kWaiting || status == ports::RunStatus::kPaused
          ? NextWake(live.state)
          : absl::InfiniteFuture();
  const bool fresh_run = entry.expected_seq == 0;
  if (fresh_run || status != live.row_status || wake_at != live.row_wake_at ||
      entry.row.has_value()) {
    live.row_status = status;
    live.row_wake_at = wake_at;
    entry.row = RowOf(live.state, status, wake_at);
  }
  Mark& mark = gathering_.marks[place->second];
  mark.seq = live.state.seq;
  mark.order = live.state.last_order;
  mark.status = status;
}

void Engine::Submit() {
  if (writing_ || failed_) return;
  if (gathering_.marks.empty()) {
    // Nothing to write, and nothing is being written: what these answers rest on is on disk.
    for (const auto& reply : std::exchange(gathering_.replies, {})) reply();
    return;
  }
  writing_ = std::exchange(gathering_, Gathered());
  if (IsAlone(*writing_->batch)) {
    if (auto status = writer_.AppendHere(*writing_->batch)) {
      return Post(WrittenMessage{*std::move(status)});
    }
  }
  writer_.Append(writing_->batch,
                 [this](absl::Status status) { Post(WrittenMessage{std::move(status)}); });
}

bool Engine::IsAlone(const Batch& batch) const {
  if (batch.size() > 1 || batch.front().events.size() > kFewEvents) return false;
  ports::MutexLock lock(&mu_);
  return mailbox_.empty();
}

void Engine::Handle(const WrittenMessage& message) {
  if (failed_) return;
  if (!message.status.ok()) {
    failed_ = true;  // nothing is acknowledged any more
    if (options_.fatal) options_.fatal(message.status);
    return;
  }
  const Gathered written = *std::exchange(writing_, std::nullopt);
  for (const auto& reply : written.replies) reply();
  for (const Mark& mark : written.marks) Settle(mark);
}

void Engine::Settle(const Mark& mark) {
  hub_.Publish(mark.run, mark.seq, mark.status);
  LiveRun* live = Find(mark.run);
  if (live == nullptr) return;
  // Somebody may have brought it back meanwhile.
  const bool over = run::IsTerminal(live->state.status) && !gathering_.index.contains(mark.run);
  if (ports::IsFinished(mark.status) && over) return End(*live);
  Dispatch(*live, mark.order);
  ParkIfIdle(*live);
}

void Engine::End(LiveRun& live) {
  const run::RunId id = live.state.start.run;
  for (const auto& key : live.timers) timers_.erase(key);
  slots_free_ += static_cast<int>(live.slots.size());
  while (!live.turns.empty()) LeaveTurn(live, std::string(live.turns.begin()->first));
  ReportToParent(live.state);
  const std::string turn =
      live.state.start.concurrency_key.empty()
          ? ""
          : absl::StrCat(live.state.start.tenant, "/", live.state.start.concurrency_key);
  runs_.erase(id);
  CountRuns();
  if (!turn.empty()) {
    run_turns_.Leave(turn, id);
    PassTurn(turn);
  }
  world_.vault.Forget(id);
  options_.run_ended(id);
}

// A run that comes back has a turn, whoever has its place now: a person wants it to go on.
void Engine::LetBackIn(const LiveRun& live) {
  const run::RunStarted& start = live.state.start;
  if (start.concurrency_key.empty()) return;
  run_turns_.Enter(absl::StrCat(start.tenant, "/", start.concurrency_key), start.run);
}

void Engine::PassTurn(const std::string& turn) {
  while (!run_turns_.Queue(turn).empty()) {
    const LiveRun* next = Find(run_turns_.Queue(turn).front());
    const int32_t limit = next == nullptr ? 1 : next->flow->flow().concurrency->limit;
    const std::optional<run::RunId> run = run_turns_.Next(turn, limit);
    if (!run) return;
    local_.push_back({*run, {"system", 0, run::AdmitRun{}}, {}, nullptr});
  }
}

}  // namespace beamline::engine
