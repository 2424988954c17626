// Which facts make a dead letter, and which end one.
#include "daemon/run/dead_letter.h"

#include "daemon/run/progress.h"

namespace beamline::run {
namespace {

// True if the failure of this step fails the run, and that of no step below it is the reason.
bool FailsRun(const RunState& state, NodeIndex index) {
  const Node& failed = state.node(index);
  if (failed.undoing || failed.item >= 0) return false;
  const auto size = static_cast<NodeIndex>(state.plan->children(failed.step).size());
  for (NodeIndex i = failed.first_child; i >= 0 && i < failed.first_child + size; ++i) {
    if (FailsParent(state, i)) return false;
  }
  for (NodeIndex at = index; at != kRunNode; at = state.node(at).parent) {
    const Node& node = state.node(at);
    // What fails inside an item fails the item, and perhaps the foreach.
    if (node.item >= 0) return false;
    if (state.step_of(at).on_error == flowspec::OnError::kContinue) return false;
  }
  return true;
}

DeadLetter LetterOf(const RunState& state, NodeIndex index, const Event& event) {
  const Node& node = state.node(index);
  const flowspec::Step& step = state.step_of(index);
  DeadLetter letter{.path = PathOf(state, index),
                    .kind = flowspec::KindName(step.kind),
                    .error = node.error,
                    .attempts = node.attempt,
                    .attempts_max = step.retry.max,
                    .at = event.time};
  if (const auto fan = state.fans.find(index); fan != state.fans.end()) {
    letter.items_failed = fan->second.failed;
    letter.attempts = AttemptsBelow(state, index);
  }
  return letter;
}

std::optional<DeadLetter> Failed(const RunState& state, const std::string& path, Status status,
                                 const Error& error, const Event& event) {
  if (status != Status::kFailed) return std::nullopt;
  const NodeIndex index = FindNode(state, path);
  if (index < 0 || !FailsRun(state, index)) return std::nullopt;
  DeadLetter letter = LetterOf(state, index, event);
  letter.error = error;
  letter.reason = "failed for good";
  return letter;
}

std::optional<DeadLetter> Parked(const RunState& state, const StepParked& fact,
                                 const Event& event) {
  const NodeIndex index = FindNode(state, fact.path);
  if (index < 0) return std::nullopt;
  DeadLetter letter = LetterOf(state, index, event);
  letter.parked = true;
  letter.reason = fact.reason;
  return letter;
}

// The handlers of a run that came back begin anew.
void Forget(const RunState& state, flowspec::Section section,
            std::vector<DeadLetterChange>* changes) {
  const bool handlers =
      section == flowspec::Section::kOnFailure || section == flowspec::Section::kFinally;
  if (!state.reopened || !handlers) return;
  for (const int32_t step : state.plan->section(section)) {
    changes->push_back({state.plan->step(step).id, std::nullopt, true});
  }
}

// The step runs again, and what is above it goes on.
void Return(const std::string& path, bool anew, std::vector<DeadLetterChange>* changes) {
  changes->push_back({path, std::nullopt, anew});
  for (size_t end = path.find_last_of("/["); end != path.npos && end > 0;
       end = path.find_last_of("/[", end - 1)) {
    changes->push_back({path.substr(0, end), std::nullopt, false});
  }
}

}  // namespace

std::vector<DeadLetterChange> DeadLetterChanges(const RunState& state,
                                                absl::Span<const Event> events) {
  std::vector<DeadLetterChange> changes;
  for (const Event& event : events) {
    const std::string& path = FactPath(event.fact);
    if (const auto* parked = std::get_if<StepParked>(&event.fact)) {
      changes.push_back({path, Parked(state, *parked, event)});
    } else if (const auto* attempt = std::get_if<AttemptFinished>(&event.fact)) {
      auto letter = Failed(state, path, attempt->step_status, attempt->error, event);
      if (letter) changes.push_back({path, std::move(letter)});
    } else if (const auto* step = std::get_if<StepFinished>(&event.fact)) {
      auto letter = Failed(state, path, step->status, step->error, event);
      if (letter) changes.push_back({path, std::move(letter)});
    } else if (const auto* requeued = std::get_if<StepRequeued>(&event.fact)) {
      Return(path, requeued->anew, &changes);
    } else if (const auto* section = std::get_if<SectionStarted>(&event.fact)) {
      Forget(state, section->section, &changes);
    } else if (std::holds_alternative<StepMarked>(event.fact)) {
      Return(path, false, &changes);
    } else if (std::holds_alternative<LetterDropped>(event.fact) ||
               std::holds_alternative<StepCancelled>(event.fact)) {
      changes.push_back({path, std::nullopt});
    }
  }
  return changes;
}

}  // namespace beamline::run
