// Inputs are evaluated as those of steps are: away from the daemon, in one trip.
#include "daemon/schedule/occasion.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/engine/evaluation.h"
#include "daemon/engine/scope.h"
#include "daemon/engine/stored_flow.h"
#include "daemon/engine/values.h"
#include "flowspec/cron.h"
#include "flowspec/digest.h"
#include "flowspec/inputs.h"
#include "flowspec/json_array.h"

namespace beamline::schedule {
namespace {

constexpr size_t kPageBytes = 1 << 20;
constexpr size_t kKeyDigits = 12;

std::string TimeText(absl::Time time, absl::TimeZone zone) {
  return zone == absl::UTCTimeZone() ? absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, zone)
                                     : absl::FormatTime("%Y-%m-%dT%H:%M:%S%Ez", time, zone);
}

const char* StatusWord(ports::RunStatus status) {
  if (status == ports::RunStatus::kSucceeded) return "succeeded";
  return status == ports::RunStatus::kFailed ? "failed" : "cancelled";
}

// The start of the run, or nothing if it is gone.
absl::StatusOr<std::optional<run::RunStarted>> StartOf(const Sources& sources,
                                                       const run::RunId& id) {
  const auto first = sources.events.Read(id, 0, 1);
  if (absl::IsNotFound(first.status())) return std::nullopt;
  if (!first.ok()) return first.status();
  if (first->empty()) return std::nullopt;
  const auto* started = std::get_if<run::RunStarted>(&first->front().fact);
  return started == nullptr ? std::nullopt : std::optional<run::RunStarted>(*started);
}

// How many `flow` triggers in a row led to this run. A sub-flow's run is its parent's doing.
absl::StatusOr<int> ChainOf(const Sources& sources, run::RunId id) {
  while (true) {
    const auto start = StartOf(sources, id);
    if (!start.ok()) return start.status();
    if (!start->has_value()) return 0;
    if ((*start)->trigger.absent()) {
      if (!(*start)->parent) return 0;
      id = (*start)->parent->run;
      continue;
    }
    const auto trigger = engine::Load((*start)->trigger, sources.blobs);
    if (!trigger.ok()) return trigger.status();
    int chain = 0;
    for (const auto& [key, value] : flowspec::ObjectMembers(*trigger)) {
      if (key != "\"chain\"") continue;
      if (!absl::SimpleAtoi(absl::string_view(value.data(), value.size()), &chain)) chain = 0;
    }
    return chain;
  }
}

// The outputs that a run had in the end, as JSON text; "null" if it came to none.
absl::StatusOr<std::string> OutputsOf(const Sources& sources, const run::RunId& id) {
  run::Value outputs;
  uint64_t cursor = 0;
  while (true) {
    const auto events = sources.events.Read(id, cursor, kPageBytes);
    if (!events.ok()) return events.status();
    if (events->empty()) return engine::Load(outputs, sources.blobs);
    for (const run::Event& event : *events) {
      if (const auto* resolved = std::get_if<run::OutputsResolved>(&event.fact)) {
        outputs = resolved->outputs;
      }
    }
    cursor = events->back().seq;
  }
}

// The registered flow, ready to run, with what it brings along.
absl::Status LoadFlow(const Sources& sources, const ports::TriggerRow& trigger,
                      engine::StartRequest* request) {
  absl::StatusOr<engine::StoredFlow> stored = engine::ReadFlow(sources.events, trigger.digest);
  if (!stored.ok()) return stored.status();
  engine::FlowCache::Loaded loaded = sources.flows.Load(stored->flow.source);
  if (loaded.flow == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the flow cannot run any more: ", loaded.findings.front().message));
  }
  request->flow = std::move(loaded.flow);
  request->files = std::move(stored->files);
  return absl::OkStatus();
}

absl::Status EndOfChain(const std::string& flow) {
  return absl::FailedPreconditionError(
      absl::StrCat("a run of `", flow, "` ended ", kChainMax,
                   " `flow` triggers after the first run; do flows start each other in a circle?"));
}

absl::StatusOr<std::string> EvaluateInputs(const Sources& sources, const std::string& tenant,
                                           const engine::CompiledFlow& flow,
                                           const flowspec::Trigger& trigger, std::string occasion) {
  std::vector<const flowspec::Expression*> expressions;
  for (const auto& [name, value] : trigger.inputs) {
    for (const flowspec::ExprIndex hole : value.Holes()) {
      expressions.push_back(&flow.flow().expressions[static_cast<size_t>(hole)]);
    }
  }
  const run::RunState before_the_run(flow.plan);
  const engine::ItemsOf no_items = [](run::NodeIndex) { return nullptr; };
  engine::Scope scope(before_the_run, run::kRunNode, expressions, no_items, sources.clock.Now());
  scope.Set("trigger", std::move(occasion));
  engine::Evaluation evaluation(flow, tenant, scope, sources.evaluator, sources.blobs);
  return evaluation.RenderObject(trigger.inputs);
}

std::string NewTraceId(ports::Clock& clock) {
  const auto first = clock.Entropy(), second = clock.Entropy();
  std::string bytes(first.begin(), first.end());
  bytes.append(second.begin(), second.begin() + 6);
  bytes.back() = static_cast<char>(bytes.back() | 1);  // all zero is invalid
  return absl::BytesToHexString(bytes);
}

}  // namespace

std::string RequestIdOf(const ports::TriggerRow& trigger, const ports::DueStart& due) {
  const std::string when =
      due.cause ? due.cause->ToString() : TimeText(due.scheduled_at, absl::UTCTimeZone());
  const std::string key = flowspec::Sha256Hex(trigger.spec.key).substr(0, kKeyDigits);
  return absl::StrCat("trigger:", trigger.flow, ":", key, ":", when);
}

absl::StatusOr<std::string> OccasionJson(const Sources& sources, const ports::TriggerRow& trigger,
                                         const ports::DueStart& due) {
  const absl::TimeZone zone = flowspec::FindTimeZone(trigger.spec.tz).value_or(absl::UTCTimeZone());
  std::string json = absl::StrCat("{\"kind\":", flowspec::QuoteJson(trigger.spec.kind),
                                  ",\"scheduled_at\":\"", TimeText(due.scheduled_at, zone), "\"");
  if (due.cause) {
    const auto row = sources.events.GetRun(*due.cause);
    if (!row.ok()) return row.status();
    const auto start = StartOf(sources, *due.cause);
    if (!start.ok()) return start.status();
    if (start->has_value() && !(*start)->llm_answers.absent()) {
      return absl::AbortedError("the run was a rehearsal: its models were answered by a recording");
    }
    const absl::StatusOr<int> chain = ChainOf(sources, *due.cause);
    if (!chain.ok()) return chain.status();
    if (*chain >= kChainMax) return EndOfChain(row->flow_name);
    const auto outputs = OutputsOf(sources, *due.cause);
    if (!outputs.ok()) return outputs.status();
    absl::StrAppend(&json, ",\"run_id\":\"", due.cause->ToString(), "\",\"status\":\"",
                    StatusWord(row->status), "\",\"flow\":", flowspec::QuoteJson(row->flow_name),
                    ",\"chain\":", *chain + 1, ",\"outputs\":", *outputs);
  }
  return absl::StrCat(json, "}");
}

absl::StatusOr<engine::StartRequest> MakeRequest(const Sources& sources,
                                                 const ports::TriggerRow& trigger,
                                                 const ports::DueStart& due) {
  engine::StartRequest request;
  if (absl::Status status = LoadFlow(sources, trigger, &request); !status.ok()) return status;
  const flowspec::Flow& flow = request.flow->flow();
  const std::vector<flowspec::Trigger>& triggers = flow.triggers;
  const auto index = static_cast<size_t>(trigger.spec.index);
  if (index >= triggers.size()) return absl::InternalError("the flow has no such trigger");
  auto occasion = OccasionJson(sources, trigger, due);
  if (!occasion.ok()) return occasion.status();
  auto json = EvaluateInputs(sources, trigger.tenant, *request.flow, triggers[index], *occasion);
  if (!json.ok()) return json.status();
  flowspec::CheckedInputs inputs = flowspec::CheckInputs(flow, *json);
  if (!inputs.violations.empty()) {
    const flowspec::InputViolation& first = inputs.violations.front();
    return absl::InvalidArgumentError(absl::StrCat("input `", first.name, "`: ", first.message));
  }
  request.labels = flow.labels;
  std::sort(request.labels.begin(), request.labels.end());
  request.inputs_json = std::move(inputs.json);
  request.sensitive = std::move(inputs.sensitive);
  request.trigger = *std::move(occasion);
  request.actor = absl::StrCat("trigger:", trigger.spec.kind);
  request.tenant = trigger.tenant;
  request.trace_id = NewTraceId(sources.clock);
  request.workspace = trigger.workspace;
  if (request.workspace.empty()) request.workspace_of = sources.workspace_of;
  request.request_id = RequestIdOf(trigger, due);
  // Not of the flow or its inputs: after a crash the start may be made of a newer version.
  request.request_hash = flowspec::Sha256Hex(request.request_id);
  return request;
}

}  // namespace beamline::schedule
