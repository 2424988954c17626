// Steps that ask people, and steps that run again because of what they said.
#include "absl/strings/str_cat.h"
#include "proto/run_view_parts.h"

namespace beamline::proto {

using google::protobuf::RepeatedPtrField;

void RunView::OnTaskOpened(const v1::ExecutionEvent& event, const Place& place) {
  if (!place) return;
  const v1::TaskOpened& fact = event.task_opened();
  SetStatus(place, v1::STATUS_WAITING);
  place.Visit([&](auto* node) {
    *node->mutable_started_at() = event.time();
    node->set_reason(absl::StrCat("asks: ", fact.title()));
    node->set_task(fact.task());
    node->set_round(fact.round());
    node->set_max_rounds(fact.max_rounds());
  });
}

// How the step ends follows; an approved one may still have its output put together.
void RunView::OnTaskClosed(const v1::TaskClosed& fact, const Place& place) {
  if (!place || fact.outcome() != v1::TASK_OUTCOME_APPROVED) return;
  SetStatus(place, v1::STATUS_RUNNING);
  place.Visit([](auto* node) { node->clear_reason(); });
}

// The step stands as it did before it began; its attempts stay, as what has happened.
void RunView::Rewind(const Place& place) {
  if (!place || place.item != nullptr) return;
  SetStatus(place, v1::STATUS_PENDING);
  v1::Step* step = place.step;
  Forget(step->steps());
  ForgetItems(*step);
  step->clear_items();
  step->clear_item_count();
  step->clear_foreach_items();
  step->clear_steps();
  if (!place.shape->outline.foreach ()) {
    AddSteps(*place.shape, step->path() + "/", step->mutable_steps());
  }
  step->clear_reason();
  step->clear_output();
  step->clear_failure();
  step->clear_started_at();
  step->clear_finished_at();
  step->clear_artifacts();
  step->clear_child_run();
  step->clear_cached_from();
}

// What these steps counted for, they count for no more.
void RunView::Forget(const RepeatedPtrField<v1::Step>& steps) {
  for (const v1::Step& step : steps) {
    stuck_ -= static_cast<int>(IsStuck(step.status()));
    timed_ -= static_cast<int>(step.has_wait_until());
    Forget(step.steps());
    ForgetItems(step);
  }
}

void RunView::ForgetItems(const v1::Step& step) {
  foreaches_.erase(&step);
  for (const v1::Item& item : step.items()) {
    stuck_ -= static_cast<int>(IsStuck(item.status()));
    timed_ -= static_cast<int>(item.has_wait_until());
    Forget(item.steps());
  }
}

}  // namespace beamline::proto
