// Registered flows as JSON.
#include "cli/flow_json.h"

#include <nlohmann/json.hpp>

#include "cli/run_json.h"

namespace beamline::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json VersionOf(const v1::FlowVersion& version) {
  Json json = {{"name", version.name()}, {"version", version.version()}};
  if (version.digest().empty()) {
    json["removed_at"] = TimeText(version.registered_at());
  } else {
    json["digest"] = version.digest();
    json["registered_at"] = TimeText(version.registered_at());
  }
  json["actor"] = version.actor();
  if (!version.workspace().empty()) json["workspace"] = version.workspace();
  return json;
}

Json TriggerOf(const v1::FlowTrigger& trigger) {
  const bool cron = trigger.kind() == "cron";
  Json json = {{"kind", trigger.kind()}, {cron ? "cron" : "flow", trigger.what()}};
  if (cron) json["tz"] = trigger.tz();
  json["overlap"] = trigger.overlap();
  cron ? json["catchup"] = trigger.catchup() : json["when"] = trigger.run_when();
  if (trigger.has_next_at()) json["next_at"] = TimeText(trigger.next_at());
  if (!trigger.run_id().empty()) json["run"] = trigger.run_id();
  if (trigger.queued() > 0) json["queued"] = trigger.queued();
  if (trigger.decision().empty()) return json;
  Json last = {{"scheduled_at", TimeText(trigger.last_scheduled_at())},
               {"decided_at", TimeText(trigger.last_decided_at())},
               {"decision", trigger.decision()}};
  if (!trigger.reason().empty()) last["reason"] = trigger.reason();
  json["last"] = std::move(last);
  return json;
}

}  // namespace

std::string FlowVersionJson(const v1::FlowVersion& version) { return Dump(VersionOf(version)); }

std::string FlowSummaryJson(const v1::FlowSummary& flow) {
  Json json = VersionOf(flow.version());
  if (!flow.description().empty()) json["description"] = flow.description();
  for (const v1::FlowTrigger& trigger : flow.triggers()) {
    json["triggers"].push_back(TriggerOf(trigger));
  }
  return Dump(json);
}

}  // namespace beamline::cli
