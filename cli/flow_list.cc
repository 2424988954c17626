// `beamline flow list` and `flow show`: registered flows, their versions and their triggers.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/flow_json.h"
#include "cli/flow_name.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/digest.h"

namespace beamline::cli {
namespace {

constexpr int kLimitMax = 100'000, kPageMax = 1000;
constexpr int kVersionsShown = 10;

std::string AgeOf(const google::protobuf::Timestamp& time, absl::Time now) {
  return absl::StrCat(ShortDuration(now - ToTime(time)), " ago");
}

std::string ShortDigest(const std::string& digest) { return digest.substr(0, 12); }

// "cron 0 3 * * * Europe/Berlin", "flow build (done)".
std::string TriggerText(const v1::FlowTrigger& trigger) {
  if (trigger.kind() != "cron") {
    const bool plain = trigger.run_when() == "success";
    return absl::StrCat(trigger.kind(), " ", trigger.what(),
                        plain ? "" : absl::StrCat(" (", trigger.run_when(), ")"));
  }
  return absl::StrCat("cron ", trigger.what(), " ", trigger.tz());
}

// "in 3h12m"; a dash for what has no time of its own.
std::string NextText(const v1::FlowTrigger& trigger, absl::Time now) {
  if (!trigger.has_next_at()) return "-";
  const absl::Duration wait = ToTime(trigger.next_at()) - now;
  return wait <= absl::ZeroDuration() ? "now" : absl::StrCat("in ", ShortDuration(wait));
}

std::string NextOf(const v1::FlowSummary& flow, absl::Time now) {
  const v1::FlowTrigger* next = nullptr;
  for (const v1::FlowTrigger& trigger : flow.triggers()) {
    if (!trigger.has_next_at()) continue;
    if (next == nullptr || ToTime(trigger.next_at()) < ToTime(next->next_at())) next = &trigger;
  }
  return next == nullptr ? "-" : NextText(*next, now);
}

absl::StatusOr<std::vector<v1::FlowSummary>> Fetch(Client& client, int limit) {
  std::vector<v1::FlowSummary> flows;
  v1::ListFlowsRequest request;
  do {
    request.set_page_size(std::min(limit - static_cast<int>(flows.size()), kPageMax));
    auto page = client.ListFlows(request);
    if (!page.ok()) return page.status();
    for (v1::FlowSummary& flow : *page->mutable_flows()) flows.push_back(std::move(flow));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && static_cast<int>(flows.size()) < limit);
  return flows;
}

Table TableOf(const std::vector<v1::FlowSummary>& flows) {
  const absl::Time now = absl::Now();
  Table table({{.title = "FLOW"},
               {.title = "VERSION", .right = true},
               {.title = "DIGEST"},
               {.title = "REGISTERED", .right = true},
               {.title = "NEXT", .right = true},
               {.title = "STARTED BY", .shrink = true}});
  for (const v1::FlowSummary& flow : flows) {
    std::vector<std::string> triggers;
    for (const v1::FlowTrigger& trigger : flow.triggers()) triggers.push_back(TriggerText(trigger));
    const v1::FlowVersion& version = flow.version();
    table.Add({{version.name(), Ink::kBold},
               {absl::StrCat(version.version())},
               {ShortDigest(version.digest()), Ink::kDim},
               {AgeOf(version.registered_at(), now)},
               {NextOf(flow, now)},
               {Printable(absl::StrJoin(triggers, ", "))}});
  }
  return table;
}

std::string TriggersText(const Context& context, const v1::FlowSummary& flow) {
  const absl::Time now = absl::Now();
  Table table({{.title = "TRIGGER"},
               {.title = "NEXT", .right = true},
               {.title = "LAST"},
               {.title = "CAME OF IT", .shrink = true}});
  for (const v1::FlowTrigger& trigger : flow.triggers()) {
    std::string came = trigger.decision();
    if (came == "started") absl::StrAppend(&came, " ", ShortId(trigger.run_id()));
    if (!trigger.reason().empty()) absl::StrAppend(&came, ": ", trigger.reason());
    if (trigger.queued() > 0) absl::StrAppend(&came, " (", trigger.queued(), " waiting)");
    table.Add({{TriggerText(trigger)},
               {NextText(trigger, now)},
               {trigger.decision().empty() ? "never" : AgeOf(trigger.last_decided_at(), now)},
               {Printable(came)}});
  }
  return table.empty() ? "" : table.Render(context.out, context.width);
}

std::string VersionsText(const Context& context, const v1::ListFlowVersionsResponse& versions) {
  const absl::Time now = absl::Now();
  Table table({{.title = "VERSION", .right = true},
               {.title = "DIGEST"},
               {.title = "WHEN", .right = true},
               {.title = "BY"}});
  for (const v1::FlowVersion& version : versions.versions()) {
    const bool removed = version.digest().empty();
    table.Add({{absl::StrCat(version.version())},
               {removed ? "removed" : ShortDigest(version.digest())},
               {AgeOf(version.registered_at(), now)},
               {Printable(version.actor())}});
  }
  return table.Render(context.out, context.width);
}

std::string VersionsJson(const v1::ListFlowVersionsResponse& versions) {
  std::vector<std::string> json;
  for (const v1::FlowVersion& version : versions.versions())
    json.push_back(FlowVersionJson(version));
  return absl::StrCat("[", absl::StrJoin(json, ","), "]");
}

// `,"files":[…]` of a flow that brings some.
std::string FilesJson(const v1::GetFlowResponse& flow) {
  if (flow.files().empty()) return "";
  std::vector<std::string> json;
  for (const v1::FlowFile& file : flow.files()) {
    json.push_back(absl::StrCat("{\"path\":", QuoteJson(file.path()),
                                ",\"digest\":", QuoteJson(flowspec::Sha256Hex(file.source())),
                                ",\"source\":", QuoteJson(file.source()), "}"));
  }
  return absl::StrCat(",\"files\":[", absl::StrJoin(json, ","), "]");
}

// Everything about one flow as an object: what a list shows of it, and its history and source.
std::string ShowJson(const v1::GetFlowResponse& flow,
                     const v1::ListFlowVersionsResponse& versions) {
  std::string json = FlowSummaryJson(flow.flow());
  json.pop_back();
  return absl::StrCat(json, ",\"current\":", flow.current() ? "true" : "false",
                      ",\"versions\":", VersionsJson(versions), FilesJson(flow),
                      ",\"source\":", QuoteJson(flow.flow_source()), "}");
}

}  // namespace

int FlowList(const Arguments& arguments, Context& context) {
  int limit = 0;
  if (!absl::SimpleAtoi(arguments.Get("limit"), &limit) || limit < 1 || limit > kLimitMax) {
    return Fail(context, kExitUsage, absl::StrCat("--limit is a number from 1 to ", kLimitMax));
  }
  std::unique_ptr<Client> client;
  if (int code = EnsureConnected(context, &client); code != kExitOk) return code;
  const auto flows = Fetch(*client, limit);
  if (!flows.ok()) return FailWith(context, flows.status());
  if (context.wants_data()) {
    std::vector<std::string> json;
    for (const v1::FlowSummary& flow : *flows) json.push_back(FlowSummaryJson(flow));
    return PrintData(context, absl::StrCat("[", absl::StrJoin(json, ","), "]"));
  }
  if (flows->empty()) {
    Hint(context, "no flow is registered\n→ beamline flow register FILE");
    return kExitOk;
  }
  TableOf(*flows).Print(context);
  return kExitOk;
}

int FlowShow(const Arguments& arguments, Context& context) {
  std::unique_ptr<Client> client;
  if (int code = EnsureConnected(context, &client); code != kExitOk) return code;
  const auto flow = client->GetFlow(arguments.Get("NAME"));
  if (!flow.ok()) return FailWith(context, flow.status());
  if (arguments.On("source")) {
    context.out.Write(flow->flow_source());
    return kExitOk;
  }
  const v1::FlowVersion& version = flow->flow().version();
  v1::ListFlowVersionsRequest request;
  request.set_name(version.name());
  request.set_page_size(context.wants_data() ? kPageMax : kVersionsShown);
  const auto versions = client->ListFlowVersions(request);
  if (!versions.ok()) return FailWith(context, versions.status());
  if (context.wants_data()) return PrintData(context, ShowJson(*flow, *versions));
  std::string text = absl::StrCat(
      Paint(context.out.color, Ink::kBold, version.name()), "  version ", version.version(),
      flow->current() ? "" : ", not the current one", "\nsha256:", version.digest(), "\nstarts in ",
      version.workspace().empty() ? "a directory of its own" : Printable(version.workspace()),
      "\n");
  for (const v1::FlowFile& file : flow->files()) {
    absl::StrAppend(&text, "brings ", Printable(file.path()), "  ",
                    ShortDigest(flowspec::Sha256Hex(file.source())), "\n");
  }
  if (!flow->flow().description().empty()) {
    absl::StrAppend(&text, Printable(flow->flow().description()), "\n");
  }
  if (const std::string triggers = TriggersText(context, flow->flow()); !triggers.empty()) {
    absl::StrAppend(&text, "\n", triggers);
  }
  absl::StrAppend(&text, "\n", VersionsText(context, *versions));
  context.out.Write(text);
  Hint(context, absl::StrCat("→ beamline run ", version.name(), " · beamline runs list --flow ",
                             version.name()));
  return kExitOk;
}

}  // namespace beamline::cli
