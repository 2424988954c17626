// Events of the store as events of the wire.
#include "daemon/rpc/narrator.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "daemon/codec/event_codec.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {
namespace {

constexpr uint64_t kBehindEndMax = 64;  // events

v1::Section ToWire(flowspec::Section section) {
  switch (section) {
    case flowspec::Section::kOnFailure:
      return v1::SECTION_ON_FAILURE;
    case flowspec::Section::kFinally:
      return v1::SECTION_FINALLY;
    case flowspec::Section::kCompensate:
      return v1::SECTION_COMPENSATE;
    case flowspec::Section::kMain:
      break;
  }
  return v1::SECTION_MAIN;
}

void AddOutline(const flowspec::Flow& flow, v1::RunStarted* started) {
  std::set<int32_t> undoing;  // a step stands before what undoes it
  for (const flowspec::Step& step : flow.steps) {
    v1::StepOutline* outline = started->add_outline();
    outline->set_id(step.id);
    outline->set_name(step.name);
    outline->set_kind(flowspec::KindName(step.kind));
    outline->set_section(ToWire(step.section));
    if (step.parent >= 0) outline->set_parent(step.parent);
    outline->set_retry_max(step.retry.max);
    outline->set_foreach(step.foreach || step.matrix || step.loop);
    if (step.foreach) outline->set_foreach_as(step.foreach->as);
    if (step.matrix) outline->set_foreach_as("matrix");
    if (step.loop) outline->set_loop_max(step.loop->max);
    if (step.compensate >= 0) undoing.insert(step.compensate);
    outline->set_undoes(undoing.contains(started->outline_size() - 1));
    for (const flowspec::Need& need : step.needs) {
      outline->add_needs(flow.steps[static_cast<size_t>(need.step)].id);
    }
  }
}

}  // namespace

absl::StatusOr<Narrator> Narrator::Open(const Backend& backend, const ports::RunRow& row) {
  Narrator narrator;
  narrator.run_id_ = row.id.ToString();
  narrator.flow_digest_ = row.flow_digest;
  const auto first = backend.events.Read(row.id, 0, 1);
  if (!first.ok()) return first.status();
  const auto* started =
      first->empty() ? nullptr : std::get_if<run::RunStarted>(&first->front().fact);
  if (started == nullptr) {
    return absl::DataLossError(
        absl::StrCat("run ", narrator.run_id_, " does not begin with RunStarted"));
  }
  narrator.trace_id_ = started->trace_id;
  auto flow = backend.events.GetFlow(row.flow_digest);
  if (flow.ok()) {
    narrator.flow_ = backend.engine.flows().Load(flow->source).flow;
    narrator.flow_source_ = std::move(flow->source);
  }
  return narrator;
}

void Narrator::Tell(const run::Event& event, v1::ExecutionEvent* wire) const {
  codec::ToWire(event, {run_id_, flow_digest_, trace_id_}, wire);
  if (wire->has_run_started() && flow_ != nullptr) {
    AddOutline(flow_->flow(), wire->mutable_run_started());
  }
}

absl::StatusOr<ports::RunRow> FindRun(const Backend& backend, const std::string& run_id) {
  const std::optional<run::RunId> id = run::RunId::Parse(run_id);
  if (!id) return RunNotFound(run_id);
  absl::StatusOr<ports::RunRow> row = backend.events.GetRun(*id);
  if (absl::IsNotFound(row.status()) || (row.ok() && row->tenant != kTenant)) {
    return RunNotFound(run_id);
  }
  return row;
}

v1::Status ToWire(ports::RunStatus status) {
  switch (status) {
    case ports::RunStatus::kPending:
      return v1::STATUS_PENDING;
    case ports::RunStatus::kRunning:
      return v1::STATUS_RUNNING;
    case ports::RunStatus::kWaiting:
      return v1::STATUS_WAITING;
    case ports::RunStatus::kPaused:
      return v1::STATUS_PAUSED;
    case ports::RunStatus::kSucceeded:
      return v1::STATUS_SUCCEEDED;
    case ports::RunStatus::kFailed:
      return v1::STATUS_FAILED;
    case ports::RunStatus::kCancelled:
      return v1::STATUS_CANCELLED;
  }
  return v1::STATUS_UNSPECIFIED;
}

absl::Status ReadFailure(const Backend& backend, const run::RunId& id, uint64_t last_seq,
                         v1::Failure* failure) {
  // What is done to a finished run is recorded behind its end.
  const auto last = backend.events.Read(id, last_seq - std::min(last_seq, kBehindEndMax), SIZE_MAX);
  if (!last.ok()) return last.status();
  const run::RunFinished* finished = nullptr;
  for (const run::Event& event : *last) {
    if (const auto* end = std::get_if<run::RunFinished>(&event.fact)) finished = end;
  }
  if (finished == nullptr || finished->error.ok()) return absl::OkStatus();
  failure->set_kind(finished->error.kind);
  failure->set_message(finished->error.message);
  if (finished->error.exit_code >= 0) failure->set_exit_code(finished->error.exit_code);
  return absl::OkStatus();
}

}  // namespace beamline::rpc
