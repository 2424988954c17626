// Reads only: findings are worked out anew for every call.
#include "daemon/rpc/check_flow.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "daemon/rpc/flow_files.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/start_run.h"
#include "flowspec/child_flows.h"
#include "flowspec/outside.h"
#include "flowspec/parse.h"

namespace beamline::rpc {
namespace {

using flowspec::Finding;
using flowspec::Findings;
using flowspec::Outside;

constexpr int kFindingsMax = 1000;  // in one answer

absl::Status CheckModel(const Backend& backend, const Outside& outside) {
  return outside.kind == Outside::Kind::kRoute ? backend.provision.CheckModel(outside.name, "")
                                               : backend.provision.CheckModel("", outside.name);
}

// Nothing if the flow `name@sha256:DIGEST` is here; other errors are those of the store.
absl::StatusOr<std::optional<Finding>> CheckRegistered(const Backend& backend,
                                                       const Outside& outside) {
  const size_t digest = outside.name.find("@sha256:") + 8;
  const auto source = backend.events.GetFlow(outside.name.substr(digest));
  if (source.ok()) return std::nullopt;
  if (!absl::IsNotFound(source.status())) return source.status();
  return OutsideFinding(outside, "not registered with this daemon",
                        "register it there: `beamline flow register FILE`");
}

bool IsServed(const ports::WorkerPoolStatus& pool, const Outside& outside) {
  return std::any_of(pool.workers.begin(), pool.workers.end(), [&](const auto& worker) {
    return std::any_of(worker.hello.serves.begin(), worker.hello.serves.end(),
                       [&](const auto& line) {
                         return line.first == outside.name &&
                                (line.second == outside.task || outside.task.empty());
                       });
  });
}

// What is not here of what the flow names: all that a step would fail for, or wait for.
absl::StatusOr<Findings> NotHere(const Backend& backend, const flowspec::Flow& flow) {
  Findings findings;
  std::optional<ports::WorkerPoolStatus> pool;
  for (const Outside& outside : OutsideOf(flow)) {
    absl::Status status;
    switch (outside.kind) {
      case Outside::Kind::kRoute:
      case Outside::Kind::kModel:
        status = CheckModel(backend, outside);
        break;
      case Outside::Kind::kSecret:
        for (const flowspec::Secret& secret : flow.secrets) {
          if (secret.name == outside.name) status = backend.provision.CheckSecret(secret);
        }
        break;
      case Outside::Kind::kQueue:
        if (!pool) pool = backend.workers.Look(kTenant);
        if (IsServed(*pool, outside)) break;
        findings.push_back(OutsideFinding(outside, "no worker serves it now",
                                          "`beamline worker list` shows who is there"));
        break;
      case Outside::Kind::kFlow: {
        absl::StatusOr<std::optional<Finding>> finding = CheckRegistered(backend, outside);
        if (!finding.ok()) return finding.status();
        if (finding->has_value()) findings.push_back(**std::move(finding));
        break;
      }
    }
    if (status.ok()) continue;
    const std::string own = absl::StrCat("secret `", outside.name, "`: ");  // the finding says it
    findings.push_back(
        OutsideFinding(outside, std::string(absl::StripPrefix(status.message(), own)), ""));
  }
  return findings;
}

const char* SeverityName(flowspec::Severity severity) {
  switch (severity) {
    case flowspec::Severity::kError:
      return "error";
    case flowspec::Severity::kWarning:
      return "warning";
    case flowspec::Severity::kNote:
      return "note";
  }
  return "";
}

void ToWire(const Finding& finding, const std::string& path, v1::CheckFlowResponse* response) {
  if (response->findings_size() >= kFindingsMax) return;
  v1::FlowFinding* wire = response->add_findings();
  wire->set_code(finding.code);
  wire->set_severity(SeverityName(finding.severity));
  wire->set_message(finding.message);
  wire->set_line(finding.span.line);
  wire->set_column(finding.span.column);
  wire->set_length(finding.span.length);
  wire->set_label(finding.label);
  wire->set_help(finding.help);
  wire->set_path(path);
}

// All that is to say of one file.
absl::Status CheckSource(const Backend& backend, const std::string& source, const std::string& path,
                         const flowspec::ParseOptions& options, v1::CheckFlowResponse* response) {
  const flowspec::ParseResult parsed = flowspec::ParseFlow(source, options);
  for (const Finding& finding : parsed.findings) ToWire(finding, path, response);
  if (parsed.flow == nullptr) return absl::OkStatus();
  for (const Finding& finding : CheckExecutable(*parsed.flow)) ToWire(finding, path, response);
  const absl::StatusOr<Findings> missing = NotHere(backend, *parsed.flow);
  if (!missing.ok()) return missing.status();
  for (const Finding& finding : *missing) ToWire(finding, path, response);
  return absl::OkStatus();
}

absl::Status CheckAll(const Backend& backend, const v1::CheckFlowRequest& request,
                      v1::CheckFlowResponse* response) {
  std::map<std::string, const std::string*> files;
  for (const v1::FlowFile& file : request.files()) files[file.path()] = &file.source();
  flowspec::FlowFiles children("", [&](const std::string& path) -> absl::StatusOr<std::string> {
    const auto found = files.find(path);
    if (found != files.end()) return *found->second;
    return absl::NotFoundError("it did not come with the flow");
  });
  const bool alone = request.files().empty();  // then nothing is known of what it uses
  absl::Status status =
      CheckSource(backend, request.flow_source(), "",
                  {.children = alone ? flowspec::ChildFlows() : children.Children()}, response);
  for (const v1::FlowFile& file : request.files()) {
    if (!status.ok()) return status;
    status = CheckSource(backend, file.source(), file.path(), {}, response);
  }
  return status;
}

}  // namespace

void CheckFlow(const Backend& backend, const v1::CheckFlowRequest& request,
               v1::CheckFlowResponse* response, Done done) {
  if (request.flow_source().size() > kFlowBytesMax) {
    return done(TooLarge("flow_source", request.flow_source().size(), kFlowBytesMax));
  }
  if (absl::Status status = CheckFlowFiles(request.files()); !status.ok()) return done(status);
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    done(CheckAll(backend, request, response));
  });
}

absl::StatusOr<Findings> WhatIsMissing(const Backend& backend, const flowspec::Flow& flow) {
  Findings findings;
  for (const Outside& outside : OutsideOf(flow)) {
    const bool model =
        outside.kind == Outside::Kind::kRoute || outside.kind == Outside::Kind::kModel;
    if (model) {
      const absl::Status status = CheckModel(backend, outside);
      if (status.ok() || absl::IsFailedPrecondition(status)) continue;
      findings.push_back(OutsideFinding(outside, std::string(status.message()), ""));
    } else if (outside.kind == Outside::Kind::kFlow) {
      absl::StatusOr<std::optional<Finding>> finding = CheckRegistered(backend, outside);
      if (!finding.ok()) return finding.status();
      if (finding->has_value()) findings.push_back(**std::move(finding));
    }
  }
  return findings;
}

}  // namespace beamline::rpc
