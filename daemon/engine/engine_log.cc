// From decisions to disk: what is gathered while one batch is written becomes the next one.
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"

namespace beamline::engine {
namespace {

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
    default:
      return ports::RunStatus::kRunning;
  }
}

ports::RunRow RowOf(const run::RunState& state, ports::RunStatus status) {
  ports::RunRow row{state.start.run,         state.start.tenant,
                    state.start.project,     state.start.flow_name,
                    state.start.flow_digest, status,
                    state.start.labels,      state.actor,
                    state.started_at};
  if (ports::IsFinished(status)) row.finished_at = state.finished_at;
  row.last_seq = state.seq;
  if (!state.error.ok()) row.error = state.error.message;
  return row;
}

}  // namespace

void Engine::Record(LiveRun& live, std::vector<run::Event> events,
                    std::optional<ports::FlowSource> flow) {
  ReleaseSlots(live, events);
  const run::RunId& id = live.state.start.run;
  auto [place, added] = gathering_.index.emplace(id, gathering_.marks.size());
  if (added) {
    gathering_.batch->push_back({id, events.front().seq - 1, {}, std::nullopt, std::move(flow)});
    gathering_.marks.push_back({id});
  }
  ports::RunEvents& entry = (*gathering_.batch)[place->second];
  entry.events.insert(entry.events.end(), std::make_move_iterator(events.begin()),
                      std::make_move_iterator(events.end()));
  const ports::RunStatus status = RowStatus(run::RunStatusOf(live.state));
  if (status != live.row_status || entry.row.has_value()) {
    live.row_status = status;
    entry.row = RowOf(live.state, status);
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
  writer_.Append(writing_->batch,
                 [this](absl::Status status) { Post(WrittenMessage{std::move(status)}); });
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
  if (ports::IsFinished(mark.status)) return End(*live);
  Dispatch(*live, mark.order);
}

void Engine::End(LiveRun& live) {
  const run::RunId id = live.state.start.run;
  for (const auto& key : live.timers) timers_.erase(key);
  slots_free_ += static_cast<int>(live.slots.size());
  runs_.erase(id);
  CountRuns();
  world_.vault.Forget(id);
  options_.run_ended(id);
}

}  // namespace beamline::engine
