// When a timetable comes due next follows from its cursor, as it does for the scheduler.
#include "daemon/rpc/flow_triggers.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "daemon/rpc/wire_time.h"
#include "flowspec/cron.h"

namespace beamline::rpc {
namespace {

void ToWire(const ports::TriggerRow& row, int queued, v1::FlowTrigger* wire) {
  wire->set_kind(row.spec.kind);
  wire->set_what(row.spec.what);
  wire->set_overlap(row.spec.overlap);
  if (row.spec.kind == "cron") {
    wire->set_tz(row.spec.tz);
    wire->set_catchup(row.spec.catchup);
    flowspec::CronMistake ignored;
    const auto cron = flowspec::Cron::Parse(row.spec.what, &ignored);
    const auto zone = flowspec::FindTimeZone(row.spec.tz);
    if (cron && zone) SetTime(cron->Next(row.cursor, *zone), wire->mutable_next_at());
  } else {
    wire->set_run_when(row.spec.run_when);
  }
  if (!row.last.decision.empty()) {
    SetTime(row.last.scheduled_at, wire->mutable_last_scheduled_at());
    SetTime(row.last.decided_at, wire->mutable_last_decided_at());
    wire->set_decision(row.last.decision);
    wire->set_reason(row.last.reason);
  }
  if (row.run) wire->set_run_id(row.run->ToString());
  wire->set_queued(queued);
}

}  // namespace

std::vector<ports::TriggerSpec> TriggerSpecs(const flowspec::Flow& flow) {
  std::vector<ports::TriggerSpec> specs;
  absl::flat_hash_map<std::string, int> uses;
  for (size_t i = 0; i < flow.triggers.size(); ++i) {
    const flowspec::Trigger& trigger = flow.triggers[i];
    ports::TriggerSpec spec;
    spec.index = static_cast<int32_t>(i);
    spec.kind = flowspec::TriggerKindName(trigger.kind);
    spec.what = trigger.what;
    spec.tz = trigger.tz;
    spec.overlap = flowspec::OverlapName(trigger.overlap);
    spec.catchup = flowspec::CatchupName(trigger.catchup);
    spec.run_when = flowspec::WhenName(trigger.when);
    spec.key =
        absl::StrCat(spec.kind, " ", spec.what, " ", spec.kind == "cron" ? spec.tz : spec.run_when);
    // Two that differ in their inputs only.
    if (const int use = ++uses[spec.key]; use > 1) absl::StrAppend(&spec.key, " #", use);
    specs.push_back(std::move(spec));
  }
  return specs;
}

absl::Status AddTriggers(const Backend& backend, absl::Span<v1::FlowSummary* const> flows) {
  if (flows.empty()) return absl::OkStatus();
  const std::string only = flows.size() == 1 ? flows[0]->version().name() : "";
  const auto rows = backend.flows.ListTriggers(kTenant, only);
  if (!rows.ok()) return rows.status();
  const auto due = backend.flows.ListDue();
  if (!due.ok()) return due.status();
  absl::flat_hash_map<uint64_t, int> queued;
  for (const ports::DueStart& start : *due) ++queued[start.trigger];
  absl::flat_hash_map<std::string, v1::FlowSummary*> by_name;
  for (v1::FlowSummary* flow : flows) by_name[flow->version().name()] = flow;
  for (const ports::TriggerRow& row : *rows) {
    const auto flow = by_name.find(row.flow);
    if (flow == by_name.end() || row.tenant != kTenant) continue;
    ToWire(row, queued[row.no], flow->second->add_triggers());
  }
  return absl::OkStatus();
}

}  // namespace beamline::rpc
