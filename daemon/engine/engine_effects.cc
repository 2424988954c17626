// What the world owes a run goes out: evaluations, attempts, stops, timers.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"
#include "daemon/run/pending.h"

namespace beamline::engine {
namespace {

// The wall clock may be set forward while timers wait: look again at least this often.
constexpr absl::Duration kTimerLookMax = absl::Seconds(1);

// Kinds that need no executor: repeated after a crash, they come to the same.
bool IsOwn(flowspec::StepKind kind) {
  return kind == flowspec::StepKind::kFlow || kind == flowspec::StepKind::kSignal;
}

}  // namespace

void Engine::Dispatch(LiveRun& live, uint64_t up_to) {
  if (draining_ || up_to <= live.dispatched) return;
  const std::vector<run::Effect> effects = run::PendingSince(live.state, live.dispatched);
  live.dispatched = up_to;
  for (const run::Effect& effect : effects) {
    if (effect.order > up_to) break;
    Dispatch(live, effect);
  }
}

void Engine::Dispatch(LiveRun& live, const run::Effect& effect) {
  if (const auto* resolve = std::get_if<run::ResolveStep>(&effect.what)) {
    if (resolve->not_before > world_.clock.Now()) {
      SetTimer(live, resolve->not_before, effect.order);
    } else if (NeedsSlot(live, effect)) {
      waiting_.push_back({live.state.start.run, effect.order});
      FillSlots();
    } else {
      Resolve(live, effect, *resolve);
    }
  } else if (const auto* attempt = std::get_if<run::RunAttempt>(&effect.what)) {
    Run(live, effect.path, *attempt);
    const flowspec::Step& step = live.state.step_of(run::FindNode(live.state, effect.path));
    if (step.kind == flowspec::StepKind::kFlow && step.timeout < absl::InfiniteDuration()) {
      SetTimer(live, attempt->begun_at + step.timeout, effect.order);
    }
  } else if (const auto* stop = std::get_if<run::StopAttempt>(&effect.what)) {
    const run::NodeIndex node = run::FindNode(live.state, effect.path);
    if (live.state.step_of(node).kind == flowspec::StepKind::kFlow) {
      return StopChild(live, effect.path, stop->attempt, stop->force);
    }
    world_.executor.Stop(live.state.start.run, effect.path, stop->attempt, stop->reason,
                         stop->force);
  } else {
    SetTimer(live, std::get<run::WakeAt>(effect.what).at, effect.order);
  }
}

void Engine::Resolve(LiveRun& live, const run::Effect& effect, const run::ResolveStep& resolve) {
  const run::RunId id = live.state.start.run;
  const run::NodeIndex node = run::FindNode(live.state, effect.path);
  if (resolve.recorded) {
    run::ReportResolution again{.path = effect.path, .attempt = resolve.attempt};
    again.idempotency_key = live.state.node(node).idempotency_key;
    local_.push_back({id, {"system", 0, std::move(again)}, {}, nullptr});
    return;
  }
  ResolveJob job =
      MakeResolveJob(live.flow, live.state, node, resolve, ItemsLoader(live), world_.clock.Now());
  if (resolver_.Quick(job)) {
    Resolver::Resolved resolved = resolver_.Resolve(std::move(job));
    local_.push_back(
        {id, {"system", 0, std::move(resolved.report)}, {}, std::move(resolved.items)});
    return;
  }
  auto shared = std::make_shared<ResolveJob>(std::move(job));
  aside_->Do([this, id, shared] {
    Resolver::Resolved resolved = resolver_.Resolve(std::move(*shared));
    Post(CommandMessage{
        id, {"system", 0, std::move(resolved.report)}, {}, std::move(resolved.items)});
  });
}

void Engine::Run(LiveRun& live, const std::string& path, const run::RunAttempt& effect) {
  const run::RunState& state = live.state;
  const run::NodeIndex node = run::FindNode(state, path);
  const run::RunId id = state.start.run;
  ports::Attempt attempt{.run = id,
                         .tenant = state.start.tenant,
                         .flow_name = state.start.flow_name,
                         .path = path,
                         .step_id = state.step_of(node).id,
                         .kind = state.step_of(node).kind,
                         .effect = state.step_of(node).effect,
                         .attempt = effect.attempt,
                         .idempotency_key = state.node(node).idempotency_key,
                         .trace_id = state.start.trace_id,
                         .workspace = state.start.workspace,
                         .timeout = state.step_of(node).timeout,
                         .secrets = live.flow->flow().secrets};
  const bool own = IsOwn(attempt.kind);
  if (!own) ++attempts_count_;
  const auto fail = [&](const absl::Status& status) {
    run::ReportAttempt report{.path = path, .attempt = effect.attempt};
    report.outcome = run::Outcome::kFailed;
    report.error = {"input", std::string(status.message())};
    Post(AttemptMessage{id, std::move(report), !own});
  };
  absl::StatusOr<std::string> input = Load(state.node(node).input, world_.blobs);
  if (!input.ok()) return fail(input.status());
  attempt.input = *std::move(input);
  if (attempt.kind == flowspec::StepKind::kLlm && !state.start.llm_answers.absent()) {
    absl::StatusOr<std::string> answers = engine::Load(state.start.llm_answers, world_.blobs);
    if (!answers.ok()) return fail(answers.status());
    attempt.llm_answers = *std::move(answers);
  }
  if (attempt.kind == flowspec::StepKind::kFlow) return StartChild(live, attempt);
  if (attempt.kind == flowspec::StepKind::kSignal) return SendSignal(attempt);
  const std::vector<flowspec::Input>& inputs = live.flow->flow().inputs;
  if (std::any_of(inputs.begin(), inputs.end(), [](const auto& i) { return i.sensitive; })) {
    absl::StatusOr<ports::Secrets> secrets = world_.vault.Get(id);
    if (!secrets.ok()) return fail(secrets.status());
    attempt.sensitive = *std::move(secrets);
  }
  if (live.flow->artifacts && attempt.kind == flowspec::StepKind::kRun) {
    attempt.inputs = live.artifacts.VisibleTo(state, node, ItemsLoader(live));
  }
  world_.executor.Start(std::move(attempt), [this, id](run::ReportAttempt report) {
    Post(AttemptMessage{id, std::move(report)});
  });
}

ItemsOf Engine::ItemsLoader(LiveRun& live) {
  return [this, &live](run::NodeIndex fan) -> std::shared_ptr<const Items> {
    std::shared_ptr<const Items>& items = live.items[run::PathOf(live.state, fan)];
    if (items == nullptr) {  // after a restart
      const run::Fan& state = live.state.fans.at(fan);
      if (state.items.absent()) return items = std::make_shared<Items>();
      auto loaded = LoadItems(state.items, state.keys, world_.blobs);
      if (!loaded.ok()) {
        AddProblem(absl::StrCat("run ", live.state.start.run.ToString(), ": items cannot be read: ",
                                std::string(loaded.status().message())));
        items = std::make_shared<Items>();
      } else {
        items = *std::move(loaded);
      }
    }
    return items;
  };
}

// The items of steps that are started over.
void Engine::ForgetItems(LiveRun& live, const std::vector<run::Event>& events) {
  for (const run::Event& event : events) {
    const auto* rewound = std::get_if<run::StepsRewound>(&event.fact);
    if (rewound == nullptr) continue;
    for (const std::string& path : rewound->steps) {
      absl::erase_if(live.items, [&](const auto& entry) {
        return absl::StartsWith(entry.first, path) &&
               (entry.first.size() == path.size() || entry.first[path.size()] == '/' ||
                entry.first[path.size()] == '[');
      });
    }
  }
}

void Engine::SetTimer(LiveRun& live, absl::Time at, uint64_t order) {
  const auto key = std::pair(at, ++last_timer_);
  timers_.emplace(key, Timer{live.state.start.run, order});
  live.timers.push_back(key);
}

absl::Duration Engine::UntilTimer(absl::Duration wait) const {
  if (timers_.empty() || draining_) return wait;
  const absl::Duration until = timers_.begin()->first.first - world_.clock.Now();
  return std::min(wait, std::clamp(until, absl::ZeroDuration(), kTimerLookMax));
}

void Engine::FireTimers() {
  if (timers_.empty() || draining_) return;
  const absl::Time now = world_.clock.Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const Timer timer = timers_.begin()->second;
    timers_.erase(timers_.begin());
    LiveRun* live = Find(timer.run);
    if (timer.order == kLoadTimer && live == nullptr) {
      parked_.erase(timer.run);
      if (loading_.try_emplace(timer.run).second) to_load_.push_back(timer.run);
    }
    if (live == nullptr) continue;
    if (timer.order == kParkTimer) {
      live->park_later = false;
      if (OnlyWaits(*live)) Park(*live);
      continue;
    }
    const std::optional<run::Effect> effect = run::PendingAt(live->state, timer.order);
    if (!effect) continue;
    if (const auto* wake = std::get_if<run::WakeAt>(&effect->what)) {
      local_.push_back(
          {timer.run, {"system", 0, run::FireTimer{effect->path, wake->reason}}, {}, nullptr});
    } else if (const auto* attempt = std::get_if<run::RunAttempt>(&effect->what)) {
      TimeOutChild(*live, effect->path, attempt->attempt);
    } else {
      Dispatch(*live, *effect);
    }
  }
}

bool Engine::NeedsSlot(const LiveRun& live, const run::Effect& effect) {
  const auto& resolve = std::get<run::ResolveStep>(effect.what);
  if (resolve.attempt == 0) return false;
  const run::NodeIndex node = run::FindNode(live.state, effect.path);
  return live.state.step_of(node).kind == flowspec::StepKind::kRun;
}

// A slot is held from the evaluation of the body to the end of the attempt, so that an attempt is
// recorded as started only when it can start.
void Engine::FillSlots() {
  while (slots_free_ > 0 && !waiting_.empty() && !draining_) {
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    LiveRun* live = Find(next.run);
    if (live == nullptr) continue;
    const std::optional<run::Effect> effect = run::PendingAt(live->state, next.order);
    if (!effect) continue;
    --slots_free_;
    live->slots.insert(effect->path);
    Resolve(*live, *effect, std::get<run::ResolveStep>(effect->what));
  }
}

void Engine::ReleaseSlots(LiveRun& live, const std::vector<run::Event>& events) {
  if (live.slots.empty()) return;
  for (const run::Event& event : events) {
    if (std::holds_alternative<run::AttemptStarted>(event.fact)) continue;
    ReleaseSlot(live, run::FactPath(event.fact));
  }
}

void Engine::ReleaseSlot(LiveRun& live, const std::string& path) {
  slots_free_ += static_cast<int>(live.slots.erase(path));
}

}  // namespace beamline::engine
