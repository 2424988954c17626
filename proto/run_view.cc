// The fold; see run_view.h.
#include "proto/run_view.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "proto/run_view_parts.h"
#include "proto/usage_sum.h"

namespace beamline::proto {
namespace {

using google::protobuf::RepeatedPtrField;

// Paths come from a log; nothing legitimate nests deeper than a flow may.
constexpr int kDepthMax = 64;

// The last attempt is the one a fact speaks of, except in logs that do not fit.
v1::Attempt* FindAttempt(RepeatedPtrField<v1::Attempt>* attempts, int32_t n) {
  for (int i = attempts->size() - 1; i >= 0; --i) {
    if (attempts->Get(i).n() == n) return attempts->Mutable(i);
  }
  return nullptr;
}

// An attempt's status in the words of steps: what was stopped counts as cancelled unless its step
// failed by it (a timeout).
v1::Status AttemptStatus(const v1::AttemptFinished& fact) {
  switch (fact.outcome()) {
    case v1::OUTCOME_SUCCEEDED:
      return fact.has_failure() ? v1::STATUS_FAILED : v1::STATUS_SUCCEEDED;
    case v1::OUTCOME_STOPPED:
      return fact.step_status() == v1::STATUS_CANCELLED ? v1::STATUS_CANCELLED : v1::STATUS_FAILED;
    default:
      return v1::STATUS_FAILED;
  }
}

std::vector<std::string> ReadKeys(const std::string& json) {
  std::vector<std::string> keys;
  google::protobuf::ListValue list;
  if (!google::protobuf::util::JsonStringToMessage(json, &list).ok()) return keys;
  keys.reserve(list.values_size());
  for (const auto& value : list.values()) keys.push_back(value.string_value());
  return keys;
}

}  // namespace

namespace {

constexpr std::string_view kUndo = ".compensate";

// Where the first segment of `path` that is a compensation ends; 0 if there is none.
size_t EndOfUndo(std::string_view path) {
  for (size_t at = path.find(kUndo); at != path.npos; at = path.find(kUndo, at + 1)) {
    const size_t end = at + kUndo.size();
    if (end == path.size() || path[end] == '/') return end;
  }
  return 0;
}

std::string ReasonOf(const v1::WaitStarted& wait) {
  std::string until;
  if (wait.has_until()) {
    until = absl::StrCat(
        "until ", absl::FormatTime(absl::RFC3339_sec, absl::FromUnixSeconds(wait.until().seconds()),
                                   absl::UTCTimeZone()));
  }
  if (wait.signal().empty()) return absl::StrCat("waits ", until);
  return absl::StrCat("waits for the signal `", wait.signal(), "`", until.empty() ? "" : ", ",
                      until);
}

}  // namespace

RunView::RunView(ReadBlob read_blob) : read_blob_(std::move(read_blob)) {}
RunView::RunView(RunView&&) noexcept = default;
RunView& RunView::operator=(RunView&&) noexcept = default;
RunView::~RunView() = default;

void RunView::Apply(const v1::ExecutionEvent& event) {
  if (event.seq() != 0 && event.seq() <= run_.last_seq()) return;
  if (!ApplyIntervention(event)) ApplyFact(event);
  run_.set_last_seq(event.seq());
}

void RunView::ApplyFact(const v1::ExecutionEvent& event) {
  using E = v1::ExecutionEvent;
  switch (event.fact_case()) {
    case E::kRunStarted:
      return Begin(event);
    case E::kStopRequested:
      if (!event.stop_requested().path().empty()) return;
      *run_.mutable_stop() = event.stop_requested();
      paused_ = false;
      return;
    case E::kOutputsResolved:
      if (event.outputs_resolved().has_outputs()) {
        *run_.mutable_outputs() = event.outputs_resolved().outputs();
      }
      return;
    case E::kSectionStarted:
      return OnSection(event.section_started().section());
    case E::kRunAdmitted:
      queued_ = false;
      return;
    case E::kRunFinished:
      finished_ = true;
      run_.set_status(event.run_finished().status());
      *run_.mutable_finished_at() = event.time();
      if (event.run_finished().has_failure()) {
        *run_.mutable_failure() = event.run_finished().failure();
      }
      run_.clear_stop();
      return;
    case E::kForeachStarted:
      return ApplyStep(event, Find(event.foreach_started().path()));
    case E::kStepStarted:
      return ApplyStep(event, Find(event.step_started().path()));
    case E::kAttemptStarted:
      return ApplyStep(event, Find(event.attempt_started().path()));
    case E::kAttemptFinished:
      return ApplyStep(event, Find(event.attempt_finished().path()));
    case E::kRetryScheduled:
      return ApplyStep(event, Find(event.retry_scheduled().path()));
    case E::kStepSkipped:
      return ApplyStep(event, Find(event.step_skipped().path()));
    case E::kStepCancelled:
      return ApplyStep(event, Find(event.step_cancelled().path()));
    case E::kStepParked:
      return ApplyStep(event, Find(event.step_parked().path()));
    case E::kStepFinished:
      return ApplyStep(event, Find(event.step_finished().path()));
    case E::kCacheHit:
      return ApplyStep(event, Find(event.cache_hit().path()));
    case E::kWaitStarted:
      return ApplyStep(event, Find(event.wait_started().path()));
    case E::kWaitEnded:
      return ApplyStep(event, Find(event.wait_ended().path()));
    case E::kStepHeld:
      return ApplyStep(event, Find(event.step_held().path()));
    case E::kStepReleased:
      return ApplyStep(event, Find(event.step_released().path()));
    case E::kTaskOpened:
      return OnTaskOpened(event, Find(event.task_opened().path()));
    case E::kTaskClosed:
      return OnTaskClosed(event.task_closed(), Find(event.task_closed().path()));
    case E::kStepsRewound:
      for (const std::string& path : event.steps_rewound().steps()) Rewind(Find(path));
      return;
    default:  // rounds of loops speak for them, waits for the signals they take, and
              // what comes of a decision for it
      return;
  }
}

void RunView::Begin(const v1::ExecutionEvent& event) {
  const v1::RunStarted& started = event.run_started();
  if (root_ != nullptr) return;  // a run starts once
  run_.set_id(event.run_id());
  run_.set_flow(started.flow_name());
  run_.set_digest(started.flow_digest());
  run_.set_status(v1::STATUS_RUNNING);
  if (started.has_inputs()) *run_.mutable_inputs() = started.inputs();
  *run_.mutable_started_at() = event.time();
  *run_.mutable_labels() = started.labels();
  run_.set_trace_id(started.trace_id());
  run_.set_actor(event.actor());
  run_.set_workspace(started.workspace());
  if (started.has_parent()) *run_.mutable_parent() = started.parent();
  run_.set_concurrency_key(started.concurrency_key());
  if (started.has_replay_of()) *run_.mutable_replay_of() = started.replay_of();
  queued_ = started.queued();
  BuildShape(started);
  AddSteps(*root_, "", run_.mutable_steps());
}

void RunView::BuildShape(const v1::RunStarted& started) {
  root_ = std::make_unique<Shape>();
  std::vector<Shape*> by_index;
  std::vector<int> depths;
  for (const v1::StepOutline& outline : started.outline()) {
    Shape* parent = root_.get();
    int depth = 0;
    if (outline.has_parent() && outline.parent() >= 0 &&
        static_cast<size_t>(outline.parent()) < by_index.size()) {
      parent = by_index[outline.parent()];
      depth = depths[outline.parent()] + 1;
    }
    auto shape = std::make_unique<Shape>();
    shape->outline = outline;
    by_index.push_back(shape.get());
    depths.push_back(depth);
    if (depth >= kDepthMax) continue;
    if (outline.undoes()) {  // not among the steps until something is undone
      undo_shapes_[outline.id()] = std::move(shape);
      continue;
    }
    parent->index.emplace(outline.id(), static_cast<int>(parent->steps.size()));
    parent->steps.push_back(std::move(shape));
  }
}

void RunView::AddSteps(const Shape& shape, const std::string& prefix,
                       RepeatedPtrField<v1::Step>* steps) const {
  for (const auto& child : shape.steps) {
    FillStep(*child, prefix + child->outline.id(), steps->Add());
  }
}

void RunView::FillStep(const Shape& shape, const std::string& path, v1::Step* step) const {
  const v1::StepOutline& outline = shape.outline;
  step->set_id(outline.id());
  step->set_name(outline.name().empty() ? outline.id() : outline.name());
  step->set_kind(outline.kind());
  step->set_status(v1::STATUS_PENDING);
  step->set_section(outline.section());
  step->set_path(path);
  *step->mutable_needs() = outline.needs();
  step->set_retry_max(outline.retry_max());
  step->set_foreach_as(outline.foreach_as());
  step->set_loop_max(outline.loop_max());
  // The body of a foreach appears in its items.
  if (!outline.foreach ()) AddSteps(shape, path + "/", step->mutable_steps());
}

// A compensation is a step of its own, named by the whole path of what it undoes.
bool RunView::FindUndo(std::string_view path, Place* place) {
  const std::string_view last = path.substr(path.rfind('/') + 1);
  std::string id(last.substr(0, last.find('[')));
  if (id.size() < last.size()) id += kUndo;
  const auto shape = undo_shapes_.find(id);
  if (shape == undo_shapes_.end()) return false;
  place->shape = shape->second.get();
  const auto [at, fresh] = undo_steps_.try_emplace(std::string(path), nullptr);
  if (fresh) {
    at->second = run_.add_steps();
    FillStep(*shape->second, std::string(path), at->second);
    at->second->set_id(std::string(path));
    at->second->set_name(std::string(path));
    at->second->set_section(v1::SECTION_COMPENSATE);
  }
  place->step = at->second;
  return true;
}

RunView::Place RunView::Find(std::string_view path) {
  Place place;
  place.shape = root_.get();
  if (root_ == nullptr) return {};
  RepeatedPtrField<v1::Step>* steps = run_.mutable_steps();
  if (const size_t end = EndOfUndo(path); end > 0) {
    if (!FindUndo(path.substr(0, end), &place)) return {};
    path.remove_prefix(std::min(path.size(), end + 1));
    steps = place.step->mutable_steps();
  }
  for (int depth = 0; depth < kDepthMax && !path.empty(); ++depth) {
    std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    std::string_view id = segment.substr(0, segment.find('['));
    auto at = place.shape->index.find(absl::string_view(id.data(), id.size()));
    if (at == place.shape->index.end() || at->second >= steps->size()) return {};
    place.shape = place.shape->steps[at->second].get();
    place.step = steps->Mutable(at->second);
    place.item = nullptr;
    steps = place.step->mutable_steps();
    if (id.size() == segment.size()) continue;
    int32_t index = -1;
    const char* end = segment.data() + segment.size();
    auto parsed = std::from_chars(segment.data() + id.size() + 1, end, index);
    if (parsed.ec != std::errc() || parsed.ptr + 1 != end || *parsed.ptr != ']') return {};
    place.item = FindItem(place.step, *place.shape, index);
    if (place.item == nullptr) return {};
    place.foreach = foreaches_[place.step].get();
    steps = place.item->mutable_steps();
  }
  return path.empty() ? place : Place{};
}

v1::Item* RunView::FindItem(v1::Step* step, const Shape& shape, int32_t index) {
  auto at = foreaches_.find(step);
  if (at == foreaches_.end() || index < 0 || index >= step->item_count()) return nullptr;
  Foreach& foreach = *at->second;
  if (static_cast<size_t>(index) >= foreach.items.size()) {
    foreach
      .items.resize(index + 1);
    foreach
      .states.resize(index + 1);
  }
  v1::Item*& slot = foreach.items[index];
  if (slot != nullptr) return slot;
  slot = step->add_items();
  slot->set_index(index);
  slot->set_key(static_cast<size_t>(index) < foreach.keys.size() ? foreach.keys[index]
                                                                 : std::to_string(index));
  slot->set_status(v1::STATUS_PENDING);
  AddSteps(shape, step->path() + "[" + std::to_string(index) + "]/", slot->mutable_steps());
  // Items begin nearly in order; the few that overtake move back to their place.
  RepeatedPtrField<v1::Item>* items = step->mutable_items();
  for (int i = items->size() - 1; i > 0 && items->Get(i - 1).index() > index; --i) {
    items->SwapElements(i - 1, i);
  }
  return slot;
}

void RunView::SetStatus(const Place& place, v1::Status status) {
  place.Visit([&](auto* node) {
    stuck_ += static_cast<int>(IsStuck(status)) - static_cast<int>(IsStuck(node->status()));
    if (node->has_wait_until()) --timed_;
    node->clear_wait_until();
    node->set_status(status);
    node->clear_retry_at();
  });
}

void RunView::ApplyStep(const v1::ExecutionEvent& event, const Place& place) {
  using E = v1::ExecutionEvent;
  if (!place) return;
  const auto end = [&](v1::Status status, const std::string& reason) {
    SetStatus(place, status);
    place.Visit([&](auto* node) {
      node->set_reason(reason);
      if (IsTerminal(status)) *node->mutable_finished_at() = event.time();
    });
  };
  switch (event.fact_case()) {
    case E::kForeachStarted:
      OnForeachStarted(event.foreach_started(), place);
      [[fallthrough]];
    case E::kStepStarted:
      SetStatus(place, v1::STATUS_RUNNING);
      place.Visit([&](auto* node) { *node->mutable_started_at() = event.time(); });
      return;
    case E::kAttemptStarted:
      return OnAttemptStarted(event, place);
    case E::kAttemptFinished:
      return OnAttemptFinished(event, place);
    case E::kRetryScheduled:
      SetStatus(place, v1::STATUS_RUNNING);
      place.Visit([&](auto* node) { *node->mutable_retry_at() = event.retry_scheduled().at(); });
      return;
    case E::kStepSkipped:
      return end(v1::STATUS_SKIPPED, event.step_skipped().reason());
    case E::kStepCancelled:
      return end(v1::STATUS_CANCELLED, event.step_cancelled().reason());
    case E::kStepParked:
      return end(v1::STATUS_PARKED, event.step_parked().reason());
    case E::kStepFinished:
      return OnStepFinished(event, place);
    case E::kCacheHit:
      return OnCacheHit(event, place);
    case E::kWaitStarted:
      SetStatus(place, v1::STATUS_WAITING);
      place.Visit([&](auto* node) {
        *node->mutable_started_at() = event.time();
        node->set_reason(ReasonOf(event.wait_started()));
        if (!event.wait_started().has_until()) return;
        *node->mutable_wait_until() = event.wait_started().until();
        ++timed_;
      });
      return;
    case E::kStepHeld:
      return end(v1::STATUS_WAITING, "held before it starts (--break-at)");
    case E::kWaitEnded:
    case E::kStepReleased:
      SetStatus(place, event.has_wait_ended() ? v1::STATUS_RUNNING : v1::STATUS_PENDING);
      place.Visit([&](auto* node) { node->clear_reason(); });
      return;
    default:
      return;
  }
}

void RunView::OnForeachStarted(const v1::ForeachStarted& fact, const Place& place) {
  if (place.item != nullptr) return;
  place.step->set_item_count(std::max(fact.count(), 0));
  if (fact.has_items()) *place.step->mutable_foreach_items() = fact.items();
  auto& foreach = foreaches_[place.step];
  if (foreach == nullptr)
    foreach
      = std::make_unique<Foreach>();
  if (fact.keys().has_json()) {
    foreach
      ->keys = ReadKeys(fact.keys().json());
  } else if (fact.keys().has_blob() && read_blob_) {
    foreach
      ->keys = ReadKeys(read_blob_(fact.keys().blob()));
  }
}

void RunView::OnAttemptStarted(const v1::ExecutionEvent& event, const Place& place) {
  const v1::AttemptStarted& fact = event.attempt_started();
  ++in_flight_;
  SetStatus(place, v1::STATUS_RUNNING);
  place.Visit([&](auto* node) {
    if (!node->has_started_at()) *node->mutable_started_at() = event.time();
    node->clear_finished_at();
    node->clear_reason();
    v1::Attempt* attempt = node->add_attempts();
    attempt->set_n(fact.attempt());
    attempt->set_status(v1::STATUS_RUNNING);
    attempt->set_idempotency_key(fact.idempotency_key());
    attempt->set_cache_miss(fact.cache_miss());
    attempt->set_turn(fact.turn());
    *attempt->mutable_started_at() = event.time();
  });
}

void RunView::OnAttemptFinished(const v1::ExecutionEvent& event, const Place& place) {
  const v1::AttemptFinished& fact = event.attempt_finished();
  if (fact.has_usage()) AddUsage(fact.usage(), run_.mutable_usage());
  place.Visit([&](auto* node) {
    v1::Attempt* attempt = FindAttempt(node->mutable_attempts(), fact.attempt());
    if (attempt == nullptr || attempt->has_finished_at()) return;
    --in_flight_;
    attempt->set_status(AttemptStatus(fact));
    attempt->set_outcome(fact.outcome());
    if (fact.has_usage()) *attempt->mutable_usage() = fact.usage();
    *attempt->mutable_finished_at() = event.time();
    if (fact.has_failure()) *attempt->mutable_failure() = fact.failure();
  });
  if (!IsTerminal(fact.step_status())) return;
  SetStatus(place, fact.step_status());
  place.Visit([&](auto* node) {
    *node->mutable_finished_at() = event.time();
    if (fact.has_output()) *node->mutable_output() = fact.output();
    node->clear_failure();
    if (fact.has_failure()) *node->mutable_failure() = fact.failure();
    *node->mutable_artifacts() = fact.artifacts();
    node->set_child_run(fact.child_run());
  });
}

void RunView::OnStepFinished(const v1::ExecutionEvent& event, const Place& place) {
  const v1::StepFinished& fact = event.step_finished();
  SetStatus(place, fact.status());
  place.Visit([&](auto* node) {
    *node->mutable_finished_at() = event.time();
    if (fact.has_output()) *node->mutable_output() = fact.output();
    if (fact.has_failure()) *node->mutable_failure() = fact.failure();
  });
}

void RunView::OnCacheHit(const v1::ExecutionEvent& event, const Place& place) {
  const v1::CacheHit& fact = event.cache_hit();
  SetStatus(place, v1::STATUS_SUCCEEDED);
  place.Visit([&](auto* node) {
    *node->mutable_started_at() = event.time();
    *node->mutable_finished_at() = event.time();
    node->set_reason("cached: made by step " + fact.from_path() + " of run " + fact.from_run());
    node->set_cached_from(fact.from_run());
    if (fact.has_output()) *node->mutable_output() = fact.output();
    *node->mutable_artifacts() = fact.artifacts();
  });
}

RunView::ItemCounts RunView::CountItems(const v1::Step& step) const {
  auto at = foreaches_.find(&step);
  return at == foreaches_.end() ? ItemCounts{} : at->second->counts;
}

std::vector<const v1::Item*> RunView::NotableItems(const v1::Step& step, size_t limit) const {
  std::vector<const v1::Item*> items;
  auto at = foreaches_.find(&step);
  if (at == foreaches_.end()) return items;
  const Foreach& foreach = *at->second;
  for (const std::set<int32_t>* set : {&foreach.parked, &foreach.retrying, &foreach.failed}) {
    for (int32_t index : *set) {
      if (items.size() == limit) return items;
      items.push_back(foreach.items[index]);
    }
  }
  return items;
}

}  // namespace beamline::proto
