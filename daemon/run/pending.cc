// Effects are read off the state; nothing about them is remembered elsewhere.
#include "daemon/run/pending.h"

#include "flowspec/check.h"

namespace beamline::run {

ReportResolution::Phase PhaseOf(const RunState& state, NodeIndex index) {
  using Phase = ReportResolution::Phase;
  if (index == kRunNode || state.node(index).leaving) return Phase::kLeave;
  const auto fan = state.fans.find(index);
  return fan != state.fans.end() && fan->second.undecided ? Phase::kRound : Phase::kEnter;
}

namespace {

Effect EffectOf(const RunState& state, uint64_t order, const Owed& owed) {
  Effect effect{.order = order, .path = PathOf(state, owed.node)};
  const bool run = owed.node == kRunNode;
  const Node* node = run ? nullptr : &state.node(owed.node);
  switch (owed.kind) {
    case OwedKind::kResolve: {
      ResolveStep resolve;
      resolve.phase = PhaseOf(state, owed.node);
      if (!run && !node->leaving && !node->is_fan && state.plan->children(node->step).empty()) {
        resolve.attempt = node->attempt + 1;
        resolve.recorded = node->recorded;
        resolve.not_before = node->retry_at;
      }
      effect.what = resolve;
      break;
    }
    case OwedKind::kRun:
      CHECK(!run);
      effect.what = RunAttempt{node->attempt, node->begun_at};
      break;
    case OwedKind::kStop:
      CHECK(!run);
      effect.what = StopAttempt{node->attempt, *node->stop, state.stop && state.stop->force};
      break;
    case OwedKind::kWake: {
      const bool leaf = !run && state.plan->children(node->step).empty();
      effect.what = WakeAt{run ? state.wake_at : node->wake_at,
                           leaf ? StopReason::kDeadline : StopReason::kTimeout};
      break;
    }
  }
  return effect;
}

// While a run is paused, nothing new begins in it.
bool Withheld(const RunState& state, const Owed& owed) {
  return state.paused && owed.kind == OwedKind::kResolve;
}

}  // namespace

std::vector<Effect> Pending(const RunState& state) { return PendingSince(state, 0); }

std::vector<Effect> PendingSince(const RunState& state, uint64_t after) {
  std::vector<Effect> effects;
  for (auto it = state.owed.upper_bound(after); it != state.owed.end(); ++it) {
    if (!Withheld(state, it->second)) effects.push_back(EffectOf(state, it->first, it->second));
  }
  return effects;
}

std::optional<Effect> PendingAt(const RunState& state, uint64_t order) {
  const auto found = state.owed.find(order);
  if (found == state.owed.end() || Withheld(state, found->second)) return std::nullopt;
  return EffectOf(state, order, found->second);
}

}  // namespace beamline::run
