// Steps whose number at a time is limited: a place is held from the first attempt to the step's
// end, retries and a person's help included.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"
#include "daemon/run/pending.h"

namespace beamline::engine {

using Overflow = flowspec::Concurrency::Overflow;

// True if the step has to wait: the resolution is forgotten, and asked for again in its turn.
bool Engine::AwaitTurn(LiveRun& live, CommandMessage& message) {
  auto* report = std::get_if<run::ReportResolution>(&message.command.wish);
  if (report == nullptr || report->turn.empty() || report->hit || !report->condition ||
      !report->error.ok() || live.turns.contains(report->path)) {
    return false;
  }
  const run::NodeIndex node = run::FindNode(live.state, report->path);
  if (node < 0) return false;
  const flowspec::Concurrency& concurrency = *live.state.step_of(node).concurrency;
  const StepPlace place{message.run, report->path};
  const std::string line = absl::StrCat(live.state.start.tenant, "/", report->turn);
  if (step_turns_.Free(line, concurrency.limit)) {
    step_turns_.Enter(line, place);
    live.turns[place.path] = line;
    return false;
  }
  if (concurrency.overflow == Overflow::kReject) {
    report->error = {"concurrency", absl::StrCat(concurrency.limit,
                                                 " of this step run already, "
                                                 "and it says `overflow: reject`")};
    return false;
  }
  if (concurrency.overflow == Overflow::kCancelOldest && !step_turns_.Holders(line).empty()) {
    const StepPlace& oldest = step_turns_.Holders(line).front();
    run::StopStep stop{oldest.path,
                       absl::StrCat(message.run.ToString(), "/", place.path, " takes its turn")};
    local_.push_back({oldest.run, {"system", 0, std::move(stop)}, {}, nullptr});
  }
  step_turns_.Wait(line, place);
  live.turns[place.path] = line;
  ReleaseSlot(live, place.path);
  return true;
}

void Engine::LeaveTurn(LiveRun& live, const std::string& path) {
  const auto turn = live.turns.find(path);
  if (turn == live.turns.end()) return;
  const std::string line = turn->second;
  live.turns.erase(turn);
  step_turns_.Leave(line, {live.state.start.run, path});
  PassStepTurn(line);
}

// Whoever is first in the queue goes on, as far as there are places.
void Engine::PassStepTurn(const std::string& line) {
  while (!step_turns_.Queue(line).empty()) {
    const StepPlace first = step_turns_.Queue(line).front();
    LiveRun* live = Find(first.run);
    const run::NodeIndex node = live == nullptr ? -1 : run::FindNode(live->state, first.path);
    const auto resolve = static_cast<size_t>(run::OwedKind::kResolve);
    const uint64_t order = node < 0 ? 0 : live->state.node(node).owed[resolve];
    const std::optional<run::Effect> effect =
        order == 0 ? std::nullopt : run::PendingAt(live->state, order);
    if (!effect) {  // cancelled or paused meanwhile
      step_turns_.Leave(line, first);
      if (live != nullptr) live->turns.erase(first.path);
      continue;
    }
    if (!step_turns_.Next(line, live->state.step_of(node).concurrency->limit)) return;
    Dispatch(*live, *effect);
  }
}

void Engine::ReleaseTurns(LiveRun& live, const std::vector<run::Event>& events) {
  if (live.turns.empty()) return;
  for (const run::Event& event : events) {
    const std::string& path = run::FactPath(event.fact);
    if (path.empty() || !live.turns.contains(path)) continue;
    const run::NodeIndex node = run::FindNode(live.state, path);
    if (node < 0 || run::IsTerminal(live.state.node(node).status)) LeaveTurn(live, path);
  }
}

void Engine::LookAtTurns(const run::RunId& run, std::string tenant, std::string turn,
                         std::function<void(std::vector<TurnWait>)> done) {
  Post(LookMessage{run, std::move(tenant), std::move(turn), std::move(done)});
}

void Engine::Handle(const LookMessage& message) {
  std::vector<TurnWait> waits;
  const auto look = [&](const auto& turns, const std::string& line, const auto& who,
                        const std::string& path, const auto& place) {
    const auto& queue = turns.Queue(line);
    const auto at = std::find(queue.begin(), queue.end(), who);
    if (at == queue.end()) return;
    // The line is the tenant's; who asks knows the key.
    TurnWait& wait = waits.emplace_back(TurnWait{path, line.substr(message.tenant.size() + 1)});
    for (const auto& holder : turns.Holders(line)) wait.holders.push_back(place(holder));
    wait.ahead = static_cast<int>(at - queue.begin());
  };
  if (!message.turn.empty()) {
    look(run_turns_, absl::StrCat(message.tenant, "/", message.turn), message.run, "",
         [](const run::RunId& run) {
           return TurnWait::Holder{run, ""};
         });
  }
  if (const LiveRun* live = Find(message.run)) {
    for (const auto& [path, line] : live->turns) {
      look(step_turns_, line, StepPlace{message.run, path}, path, [](const StepPlace& place) {
        return TurnWait::Holder{place.run, place.path};
      });
    }
  }
  std::sort(waits.begin(), waits.end(),
            [](const TurnWait& a, const TurnWait& b) { return a.path < b.path; });
  message.done(std::move(waits));
}

}  // namespace beamline::engine
