// Crash recovery is the ordinary path: read the log, fold it, do what is pending.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"
#include "daemon/run/evolve.h"
#include "daemon/run/pending.h"

namespace beamline::engine {
namespace {

constexpr size_t kPinnedMax = 1024;  // flows that recovery and loading hold on to

}  // namespace

absl::Status Engine::Recover() {
  absl::Status status = world_.events.ReadUnfinished(
      [this](const ports::RunRow& row, absl::StatusOr<std::vector<run::Event>> events) {
        tally_.Found(row.status);
        RecoverTurn(row);
        if (row.status == ports::RunStatus::kWaiting) return RecoverParked(row);
        RecoverRun(row, std::move(events));
      });
  pinned_.clear();
  for (const std::string& line : std::exchange(recovered_lines_, {})) PassTurn(line);
  CountRuns();
  return status;
}

absl::StatusOr<std::shared_ptr<const CompiledFlow>> Engine::PinnedFlow(const std::string& digest) {
  auto found = pinned_.find(digest);
  if (found != pinned_.end()) return found->second;
  absl::StatusOr<ports::FlowSource> source = world_.events.GetFlow(digest);
  if (!source.ok()) return source.status();
  FlowCache::Loaded loaded = flows_.Load(source->source);
  if (loaded.flow == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("its flow is not valid any more: ", loaded.findings.front().message));
  }
  if (pinned_.size() >= kPinnedMax) pinned_.clear();
  pinned_.emplace(digest, loaded.flow);
  return loaded.flow;
}

void Engine::RecoverTurn(const ports::RunRow& row) {
  if (row.turn.empty()) return;
  const std::string line = absl::StrCat(row.tenant, "/", row.turn);
  if (row.status == ports::RunStatus::kPending) {
    run_turns_.Wait(line, row.id);
    recovered_lines_.push_back(line);
  } else {
    run_turns_.Enter(line, row.id);
  }
}

void Engine::RecoverParked(const ports::RunRow& row) {
  ++parked_count_;
  WakeLater(row.id, row.wake_at);
}

void Engine::RecoverRun(const ports::RunRow& row, absl::StatusOr<std::vector<run::Event>> events) {
  const auto flow = PinnedFlow(row.flow_digest);
  const absl::Status status = !events.ok() ? events.status() : flow.status();
  if (!status.ok()) {
    // One broken run stops itself and nothing else.
    lost_.insert(row.id);
    return AddProblem(
        absl::StrCat("run ", row.id.ToString(), " cannot go on: ", std::string(status.message())));
  }
  auto live = std::make_unique<LiveRun>(run::RunState((*flow)->plan));
  live->flow = *flow;
  live->row_status = row.status;
  live->row_wake_at = row.wake_at;
  for (const run::Event& event : *events) {
    live->state = run::Evolve(std::move(live->state), event);
  }
  live->dispatched = live->state.last_order;
  LiveRun& recovered = *runs_.emplace(row.id, std::move(live)).first->second;
  for (const auto& [node, turn] : recovered.state.turns) {
    const StepPlace place{row.id, run::PathOf(recovered.state, node)};
    const std::string line = absl::StrCat(row.tenant, "/", turn);
    recovered.turns[place.path] = line;
    const auto& holders = step_turns_.Holders(line);
    if (std::find(holders.begin(), holders.end(), place) == holders.end()) {
      step_turns_.Enter(line, place);
    }
  }
  for (const run::Effect& effect : run::Pending(recovered.state)) {
    if (const auto* attempt = std::get_if<run::RunAttempt>(&effect.what)) {
      const auto kind = recovered.state.step_of(run::FindNode(recovered.state, effect.path)).kind;
      if (kind == flowspec::StepKind::kFlow || kind == flowspec::StepKind::kSignal) {
        Dispatch(recovered, effect);  // the engine's own: done again, they come to the same
        continue;
      }
      // It was under way when the daemon ended, however that came about.
      run::ReportAttempt report{.path = effect.path, .attempt = attempt->attempt};
      report.outcome = run::Outcome::kUnknown;
      local_.push_back({row.id, {"system", 0, std::move(report)}, {}, nullptr});
    } else if (!std::holds_alternative<run::StopAttempt>(effect.what)) {
      Dispatch(recovered, effect);
    }
  }
}

}  // namespace beamline::engine
