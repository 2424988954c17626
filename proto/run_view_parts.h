// The parts of RunView that its files share; of nobody else.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proto/run_view.h"

namespace beamline::proto {

enum class ItemState : uint8_t { kNone, kRunning, kRetrying, kParked, kSucceeded, kFailed, kOther };

inline ItemState StateOf(const v1::Item& item) {
  switch (item.status()) {
    case v1::STATUS_RUNNING:
    case v1::STATUS_WAITING:
      return item.has_retry_at() ? ItemState::kRetrying : ItemState::kRunning;
    case v1::STATUS_PARKED:
      return ItemState::kParked;
    case v1::STATUS_SUCCEEDED:
      return ItemState::kSucceeded;
    case v1::STATUS_FAILED:
      return ItemState::kFailed;
    case v1::STATUS_PENDING:
      return ItemState::kNone;
    default:
      return ItemState::kOther;
  }
}

// A level of the flow: its steps in order and by id. The levels of a run repeat these orders, so
// that one index finds a step in the outline, in the run and in every item.
struct RunView::Shape {
  v1::StepOutline outline;
  std::vector<std::unique_ptr<Shape>> steps;
  absl::flat_hash_map<std::string, int> index;
};

// What is kept beside a foreach step's items.
struct RunView::Foreach {
  std::vector<v1::Item*> items;  // by index; null where not begun
  std::vector<ItemState> states;
  std::vector<std::string> keys;
  ItemCounts counts;
  std::set<int32_t> retrying, failed, parked;

  int32_t& CountOf(ItemState state) {
    switch (state) {
      case ItemState::kRunning:
        return counts.running;
      case ItemState::kRetrying:
        return counts.retrying;
      case ItemState::kParked:
        return counts.parked;
      case ItemState::kSucceeded:
        return counts.succeeded;
      case ItemState::kFailed:
        return counts.failed;
      default:
        return counts.other;
    }
  }
  std::set<int32_t>* SetOf(ItemState state) {
    switch (state) {
      case ItemState::kRetrying:
        return &retrying;
      case ItemState::kFailed:
        return &failed;
      case ItemState::kParked:
        return &parked;
      default:
        return nullptr;
    }
  }
  void Note(const v1::Item& item) {
    ItemState now = StateOf(item);
    ItemState& was = states[item.index()];
    if (now == was) return;
    if (was != ItemState::kNone) --CountOf(was);
    if (std::set<int32_t>* set = SetOf(was)) set->erase(item.index());
    if (now != ItemState::kNone) ++CountOf(now);
    if (std::set<int32_t>* set = SetOf(now)) set->insert(item.index());
    was = now;
  }
};

struct RunView::Place {
  const Shape* shape = nullptr;
  v1::Step* step = nullptr;  // the step, or the foreach step of `item`
  v1::Item* item = nullptr;
  Foreach* foreach = nullptr;  // of `item`

  explicit operator bool() const { return step != nullptr; }
  // Calls `f` with the item, or else the step: their fields have the same names.
  template <typename F>
  void Visit(F f) const {
    if (item != nullptr) {
      f(item);
      foreach
        ->Note(*item);
    } else {
      f(step);
    }
  }
};

// Only a person, a signal or a time brings a step in such a state forward.
inline bool IsStuck(v1::Status status) {
  return status == v1::STATUS_PARKED || status == v1::STATUS_WAITING;
}

}  // namespace beamline::proto
