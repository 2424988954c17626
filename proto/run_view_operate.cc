// What people do to a run: steps that are over begin again, are taken as done, or are taken over
// from another run.
#include <utility>

#include "proto/run_view.h"
#include "proto/run_view_parts.h"

namespace beamline::proto {

bool RunView::ApplyIntervention(const v1::ExecutionEvent& event) {
  using E = v1::ExecutionEvent;
  switch (event.fact_case()) {
    case E::kRunReopened:
      finished_ = false;
      paused_ = false;
      run_.clear_failure();
      run_.clear_finished_at();
      run_.clear_outputs();
      return true;
    case E::kStepRequeued:
      OnRequeued(event.step_requeued());
      return true;
    case E::kStepMarked:
      OnMarked(event);
      return true;
    case E::kRunPaused:
    case E::kRunResumed:
      paused_ = event.has_run_paused();
      return true;
    case E::kInputsChanged:
      *run_.mutable_inputs() = event.inputs_changed().inputs();
      return true;
    case E::kStepReused:
      OnReused(event);
      return true;
    case E::kIntervened:     // what follows says it
    case E::kLetterDropped:  // of the list of dead letters, not of the run
      return true;
    default:
      return false;
  }
}

// What ran before begins anew: the handlers of a run that was reopened.
void RunView::OnSection(v1::Section section) {
  bool& began = section == v1::SECTION_ON_FAILURE ? on_failure_began_ : finally_began_;
  if (section == v1::SECTION_COMPENSATE) return;
  if (std::exchange(began, true)) {
    for (v1::Step& step : *run_.mutable_steps()) {
      if (step.section() == section) Renew(&step);
    }
  }
}

void RunView::OnRequeued(const v1::StepRequeued& fact) {
  const Place place = Find(fact.path());
  if (!place) return;
  GoOnAbove(fact.path());
  const auto fan = place.item == nullptr ? foreaches_.find(place.step) : foreaches_.end();
  if (fan != foreaches_.end() && !fact.anew()) return RequeueItems(place);
  if (place.item == nullptr && (fact.anew() || place.step->steps().empty())) {
    return Renew(place.step);
  }
  SetStatus(place, place.item != nullptr ? v1::STATUS_PENDING : v1::STATUS_RUNNING);
  place.Visit([](auto* node) {
    node->clear_failure();
    node->clear_finished_at();
    node->clear_reason();
  });
  if (place.item == nullptr) return;
  for (v1::Step& step : *place.item->mutable_steps()) Renew(&step);
}

// Steps and items above a step that is not over any more.
void RunView::GoOnAbove(std::string_view path) {
  for (size_t end = path.find_last_of("/["); end != path.npos && end > 0;
       end = path.find_last_of("/[", end - 1)) {
    const Place above = Find(path.substr(0, end));
    if (!above) continue;
    bool over = false;
    above.Visit([&](auto* node) { over = IsTerminal(node->status()); });
    if (!over) continue;
    SetStatus(above, v1::STATUS_RUNNING);
    above.Visit([](auto* node) {
      node->clear_failure();
      node->clear_finished_at();
      node->clear_reason();
    });
  }
}

// As if it had not begun, but for its attempts. Items keep their places: others point to them.
void RunView::Renew(v1::Step* step) {
  Place place;
  place.step = step;
  SetStatus(place, v1::STATUS_PENDING);
  step->clear_failure();
  step->clear_output();
  step->clear_reason();
  step->clear_started_at();
  step->clear_finished_at();
  step->clear_artifacts();
  step->clear_child_run();
  step->clear_cached_from();
  step->clear_reused();
  for (v1::Step& child : *step->mutable_steps()) Renew(&child);
  const auto fan = foreaches_.find(step);
  if (fan == foreaches_.end()) return;
  for (v1::Item& item : *step->mutable_items()) {
    place.item = &item;
    place.foreach = fan->second.get();
    SetStatus(place, v1::STATUS_PENDING);
    item.clear_failure();
    item.clear_output();
    for (v1::Step& child : *item.mutable_steps()) Renew(&child);
  }
}

void RunView::RequeueItems(const Place& place) {
  SetStatus(place, v1::STATUS_RUNNING);
  place.step->clear_failure();
  place.step->clear_finished_at();
  place.step->clear_output();
  Place item_place = place;
  item_place.foreach = foreaches_[place.step].get();
  for (v1::Item& item : *place.step->mutable_items()) {
    if (item.status() != v1::STATUS_FAILED && item.status() != v1::STATUS_CANCELLED) continue;
    item_place.item = &item;
    SetStatus(item_place, v1::STATUS_PENDING);
    item.clear_failure();
    item.clear_finished_at();
    for (v1::Step& step : *item.mutable_steps()) Renew(&step);
  }
}

void RunView::OnMarked(const v1::ExecutionEvent& event) {
  const v1::StepMarked& fact = event.step_marked();
  const Place place = Find(fact.path());
  if (!place) return;
  GoOnAbove(fact.path());
  SetStatus(place, v1::STATUS_SUCCEEDED);
  place.Visit([&](auto* node) {
    node->clear_failure();
    node->set_reason("done by hand by " + event.actor() +
                     (fact.reason().empty() ? "" : ": " + fact.reason()));
    if (fact.has_output()) *node->mutable_output() = fact.output();
    *node->mutable_finished_at() = event.time();
  });
}

void RunView::OnReused(const v1::ExecutionEvent& event) {
  const v1::StepReused& fact = event.step_reused();
  const Place place = Find(fact.path());
  if (!place || place.item != nullptr) return;
  v1::Step* step = place.step;
  SetStatus(place, fact.status());
  step->set_reused(true);
  step->set_reason(fact.reason().empty() ? "its result is that of run " + run_.replay_of().run_id()
                                         : fact.reason());
  if (fact.has_output()) *step->mutable_output() = fact.output();
  if (fact.has_failure()) *step->mutable_failure() = fact.failure();
  *step->mutable_artifacts() = fact.artifacts();
  *step->mutable_started_at() = event.time();
  *step->mutable_finished_at() = event.time();
  for (v1::Step& child : *step->mutable_steps()) {
    Place below;
    below.step = &child;
    SetStatus(below, v1::STATUS_SKIPPED);
    child.set_reason("its container's result was taken over");
  }
  if (fact.count() == 0) return;
  v1::ForeachStarted started;
  started.set_count(fact.count());
  if (fact.has_items()) *started.mutable_items() = fact.items();
  if (fact.has_keys()) *started.mutable_keys() = fact.keys();
  OnForeachStarted(started, place);
  for (const v1::ReusedItem& reused : fact.done()) {
    v1::Item* item = FindItem(step, *place.shape, reused.index());
    if (item == nullptr) continue;
    const Place at{place.shape, step, item, foreaches_[step].get()};
    SetStatus(at, reused.status());
    if (reused.has_output()) *item->mutable_output() = reused.output();
    if (reused.has_failure()) *item->mutable_failure() = reused.failure();
  }
}

}  // namespace beamline::proto
