// Files are judged one by one, and then how they use each other.
#include "daemon/rpc/flow_bundle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/engine/stored_flow.h"
#include "daemon/rpc/check_flow.h"
#include "daemon/rpc/refusal.h"
#include "flowspec/bundle.h"
#include "flowspec/check_uses.h"
#include "flowspec/digest.h"

namespace beamline::rpc {
namespace {

constexpr size_t kViolationsMax = 100;  // in one answer

void AddErrors(const std::string& path, const flowspec::Findings& findings,
               std::vector<FileFinding>* problems) {
  for (const flowspec::Finding& finding : findings) {
    if (finding.severity == flowspec::Severity::kError) problems->push_back({path, finding});
  }
}

// What `uses` leads to in the file `including` of the bundle.
flowspec::ChildFlow Find(const FlowBundle& bundle, const std::string& including,
                         const std::string& uses) {
  if (!absl::StartsWith(uses, ".")) return {};  // a registered flow
  const absl::StatusOr<std::string> path = flowspec::ResolveUse(including, uses);
  if (!path.ok()) return {.problem = std::string(path.status().message())};
  for (size_t i = 0; i < bundle.files.size(); ++i) {
    if (bundle.files[i].path != *path) continue;
    if (bundle.loaded[i] == nullptr) return {};  // told already
    return {.flow = bundle.loaded[i]->plan->flow};
  }
  return {.problem =
              "it did not come with the flow; the `beamline` command line brings such files along"};
}

void CheckUsesOf(const FlowBundle& bundle, const flowspec::Flow& flow, const std::string& path,
                 std::vector<FileFinding>* problems) {
  flowspec::Findings findings;
  CheckUses(
      flow, [&](const std::string& uses) { return Find(bundle, path, uses); }, &findings);
  AddErrors(path, findings, problems);
}

void Judge(FlowBundle* bundle) {
  bundle->digest = engine::BundleDigest(bundle->flow->flow().digest, bundle->files);
  CheckUsesOf(*bundle, bundle->flow->flow(), "", &bundle->problems);
  for (size_t i = 0; i < bundle->files.size(); ++i) {
    if (bundle->loaded[i] == nullptr) continue;
    CheckUsesOf(*bundle, bundle->loaded[i]->flow(), bundle->files[i].path, &bundle->problems);
  }
}

void AddFile(const Backend& backend, const std::string& path, const std::string& source,
             engine::FlowCache::Flow known, FlowBundle* bundle) {
  engine::FlowCache::Loaded loaded = backend.engine.flows().Load(source, known);
  AddErrors(path, loaded.findings, &bundle->problems);
  bundle->files.push_back({path, flowspec::Sha256Hex(source)});
  bundle->sources.push_back({bundle->files.back().digest, path, source});
  bundle->loaded.push_back(std::move(loaded.flow));
}

absl::StatusOr<FlowBundle> Begin(const Backend& backend, const std::string& source,
                                 engine::FlowCache::Flow known) {
  engine::FlowCache::Loaded loaded = backend.engine.flows().Load(source, known);
  FlowBundle bundle{.flow = std::move(loaded.flow)};
  if (bundle.flow != nullptr) return bundle;
  AddErrors("", loaded.findings, &bundle.problems);
  return RefuseFlow(bundle.problems);
}

// "lib/test.flow.yaml:4: message"; the message alone for the flow itself.
std::string Told(const FileFinding& found) {
  if (found.path.empty()) return found.finding.message;
  return absl::StrCat(found.path, ":", found.finding.span.line, ": ", found.finding.message);
}

}  // namespace

absl::StatusOr<FlowBundle> LoadBundle(const Backend& backend, const std::string& source,
                                      const FlowFileList& files, engine::FlowCache::Flow known) {
  absl::StatusOr<FlowBundle> bundle = Begin(backend, source, known);
  if (!bundle.ok()) return bundle;
  for (const v1::FlowFile& file : files) {
    AddFile(backend, file.path(), file.source(), known, &*bundle);
  }
  Judge(&*bundle);
  return bundle;
}

absl::StatusOr<FlowBundle> LoadKept(const Backend& backend, const std::string& digest) {
  const absl::StatusOr<engine::StoredFlow> kept = engine::ReadFlow(backend.events, digest);
  if (!kept.ok()) return kept.status();
  absl::StatusOr<FlowBundle> bundle =
      Begin(backend, kept->flow.source, engine::FlowCache::Flow::kKnown);
  if (!bundle.ok()) return bundle;
  for (const run::BundledFlow& file : kept->files) {
    const absl::StatusOr<ports::FlowSource> source = backend.events.GetFlow(file.digest);
    if (!source.ok()) return source.status();
    AddFile(backend, file.path, source->source, engine::FlowCache::Flow::kKnown, &*bundle);
  }
  Judge(&*bundle);
  return bundle;
}

absl::StatusOr<std::vector<FileFinding>> WhatIsWrong(const Backend& backend,
                                                     const FlowBundle& bundle) {
  std::vector<FileFinding> found = bundle.problems;
  const auto add = [&](const std::string& path, const flowspec::Flow& flow) -> absl::Status {
    const absl::StatusOr<flowspec::Findings> missing = WhatIsMissing(backend, flow);
    if (!missing.ok()) return missing.status();
    AddErrors(path, *missing, &found);
    return absl::OkStatus();
  };
  if (absl::Status status = add("", bundle.flow->flow()); !status.ok()) return status;
  for (size_t i = 0; i < bundle.files.size(); ++i) {
    if (bundle.loaded[i] == nullptr) continue;
    absl::Status status = add(bundle.files[i].path, bundle.loaded[i]->flow());
    if (!status.ok()) return status;
  }
  return found;
}

absl::Status RefuseFlow(const std::vector<FileFinding>& findings) {
  std::vector<const FileFinding*> errors;
  for (const FileFinding& found : findings) {
    if (found.finding.severity == flowspec::Severity::kError) errors.push_back(&found);
  }
  // BL05xx: what is valid, but not executable by this release. BL06xx: nor by this daemon.
  const bool valid = std::all_of(errors.begin(), errors.end(), [](const FileFinding* error) {
    return absl::StartsWith(error->finding.code, "BL05") ||
           absl::StartsWith(error->finding.code, "BL06");
  });
  std::string message = absl::StrCat("the flow ", valid ? "cannot run" : "is not valid", ": ",
                                     errors.empty() ? "" : Told(*errors.front()));
  if (errors.size() > 1) absl::StrAppend(&message, " (and ", errors.size() - 1, " more)");
  Refusal refusal(valid ? Reason::kFlowNotExecutable : Reason::kFlowInvalid, std::move(message));
  refusal.With("errors", absl::StrCat(errors.size()));
  if (errors.size() > kViolationsMax) errors.resize(kViolationsMax);
  for (const FileFinding* error : errors) {
    const flowspec::Finding& finding = error->finding;
    std::string description = finding.message;
    if (!finding.label.empty() && finding.help.empty()) {
      absl::StrAppend(&description, " (", finding.label, ")");
    }
    if (!finding.help.empty()) absl::StrAppend(&description, " (", finding.help, ")");
    refusal.Violation(absl::StrCat(error->path.empty() ? "flow_source" : error->path, ":",
                                   finding.span.line, ":", finding.span.column),
                      std::move(description), finding.code);
  }
  return refusal;
}

absl::Status CheckDigest(const FlowBundle& bundle, const std::string& wanted) {
  if (wanted.empty() || wanted == bundle.digest) return absl::OkStatus();
  return Refusal(Reason::kDigestMismatch, "the flow is not the one that was looked at before")
      .With("digest", bundle.digest)
      .Precondition("DIGEST", bundle.flow->flow().name,
                    absl::StrCat("the flow's digest is ", bundle.digest));
}

}  // namespace beamline::rpc
