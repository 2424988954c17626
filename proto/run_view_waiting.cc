// Whether a run waits: something is parked, held or waits, and nothing else can go on.
#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "proto/run_view.h"

namespace beamline::proto {

using google::protobuf::RepeatedPtrField;

const v1::Run& RunView::run() const {
  if (!finished_ && root_ != nullptr) {
    // Only a run that has something stuck and no attempt in flight is worth a walk.
    bool waits = stuck_ > 0 && in_flight_ <= 0 && !CanMove(run_.steps(), true);
    run_.set_status(queued_   ? v1::STATUS_PENDING
                    : paused_ ? v1::STATUS_PAUSED
                    : waits   ? v1::STATUS_WAITING
                              : v1::STATUS_RUNNING);
  }
  return run_;
}

bool RunView::SectionBegan(v1::Section section) const {
  if (section == v1::SECTION_ON_FAILURE) return on_failure_began_;
  if (section == v1::SECTION_FINALLY) return finally_began_;
  return true;
}

// True if the engine has, or is about to have, something to do on this level without anybody's
// help: a step is under way, or every step it waits for is over, or all are over.
bool RunView::CanMove(const RepeatedPtrField<v1::Step>& steps, bool top) const {
  absl::flat_hash_map<std::string, bool> over;
  bool all_over = true;
  for (const v1::Step& step : steps) {
    if (top && !SectionBegan(step.section())) continue;
    over[step.id()] = IsTerminal(step.status());
    all_over = all_over && IsTerminal(step.status());
  }
  if (all_over) return true;
  for (const v1::Step& step : steps) {
    if (IsTerminal(step.status()) || (top && !SectionBegan(step.section()))) continue;
    if (step.status() != v1::STATUS_PENDING) {
      if (CanMove(step)) return true;
      continue;
    }
    bool ready = std::all_of(step.needs().begin(), step.needs().end(), [&](const std::string& id) {
      auto need = over.find(id);
      return need == over.end() || need->second;
    });
    if (ready) return true;
  }
  return false;
}

bool RunView::CanMove(const v1::Step& step) const {
  if (step.status() == v1::STATUS_PARKED || step.status() == v1::STATUS_WAITING) return false;
  if (!foreaches_.contains(&step)) return step.steps().empty() || CanMove(step.steps(), false);
  if (step.loop_max() == 0 && step.items_size() < step.item_count()) return true;
  bool all_over = true;
  for (const v1::Item& item : step.items()) {
    if (IsTerminal(item.status())) continue;
    all_over = false;
    if (item.status() == v1::STATUS_PARKED || item.status() == v1::STATUS_WAITING) continue;
    if (item.steps().empty() || CanMove(item.steps(), false)) return true;
  }
  return all_over;
}

}  // namespace beamline::proto
