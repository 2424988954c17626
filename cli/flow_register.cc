// `beamline flow register` and `flow rm`: what gives a name to a flow, and takes it away.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/api_error.h"
#include "cli/flow_json.h"
#include "cli/flow_name.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/verbs.h"
#include "flowspec/findings_text.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

struct Candidate {
  std::string file;
  SourceFile source;
  std::vector<BundleFile> brings;  // what its `uses` lead to
};

// Shows the findings of the flow, which is null if one of them is an error.
std::shared_ptr<const flowspec::Flow> TellFindings(const Context& context,
                                                   const SourceFile& source) {
  flowspec::ParseResult result = flowspec::ParseFlow(source.text, {.compile_expressions = false});
  if (result.flow != nullptr) {
    for (flowspec::Finding& finding : flowspec::CheckExecutable(*result.flow)) {
      result.findings.push_back(std::move(finding));
    }
  }
  if (!result.findings.empty()) {
    context.err.Write(flowspec::FindingsText({source.name, source.text, result.findings},
                                             {context.err.color, context.width}));
  }
  return flowspec::HasErrors(result.findings) ? nullptr : result.flow;
}

// Reads and checks all files before the first one is registered.
int ReadAll(const Context& context, const std::vector<std::string>& files,
            std::vector<Candidate>* candidates) {
  int code = kExitOk;
  for (const std::string& file : files) {
    absl::StatusOr<SourceFile> source = ReadSource(file);
    if (!source.ok()) return Fail(context, kExitNotFound, std::string(source.status().message()));
    const auto flow = TellFindings(context, *source);
    int bad = flow == nullptr ? int{kExitInvalid} : int{kExitOk};
    std::optional<std::vector<BundleFile>> brings;
    if (flow != nullptr) brings = LoadBundle(context, file, *flow, &bad);
    if (!brings) {
      code = bad;
      continue;
    }
    candidates->push_back({file, *std::move(source), *std::move(brings)});
  }
  return code;
}

void TellRegistered(const Context& context, const v1::RegisterFlowResponse& response) {
  const v1::FlowVersion& version = response.flow().version();
  context.out.Write(absl::StrCat(version.name(), "@sha256:", version.digest(), "\n"));
  if (response.existing()) {
    Hint(context, absl::StrCat(version.name(), " is version ", version.version(), " already"));
  } else {
    Hint(context, absl::StrCat(version.name(), " is version ", version.version(), " now"));
  }
}

}  // namespace

int FlowRegister(const Arguments& arguments, Context& context) {
  std::vector<Candidate> candidates;
  const std::vector<std::string>& files = arguments.All("FILE");
  const std::string& digest = arguments.Get("check-digest");
  if (!digest.empty() && files.size() > 1) {
    return Fail(context, kExitUsage, "--check-digest is about one file");
  }
  if (int code = ReadAll(context, files, &candidates); code != kExitOk) return code;
  std::unique_ptr<Client> client;
  if (int code = EnsureConnected(context, &client); code != kExitOk) return code;
  std::vector<std::string> json;
  std::string last;
  for (const Candidate& candidate : candidates) {
    v1::RegisterFlowRequest request;
    request.set_request_id(NewRequestId());
    request.set_flow_source(candidate.source.text);
    // Elsewhere, a directory of this machine means nothing.
    if (!context.remote) request.set_workspace(WorkspaceOf(candidate.file));
    request.set_check_digest(digest);
    for (const BundleFile& file : candidate.brings) {
      v1::FlowFile* sent = request.add_files();
      sent->set_path(file.path);
      sent->set_source(file.text);
    }
    const auto response = client->RegisterFlow(request);
    if (!response.ok()) return FailWith(context, response.status());
    json.push_back(FlowSummaryJson(response->flow()));
    last = response->flow().version().name();
    if (!context.wants_data()) TellRegistered(context, *response);
  }
  if (context.wants_data())
    return PrintData(context, absl::StrCat("[", absl::StrJoin(json, ","), "]"));
  Hint(context, absl::StrCat("→ beamline run ", last, " · beamline flow show ", last));
  return kExitOk;
}

int FlowRemove(const Arguments& arguments, Context& context) {
  std::unique_ptr<Client> client;
  if (int code = EnsureConnected(context, &client); code != kExitOk) return code;
  const std::vector<std::string>& names = arguments.All("NAME");
  for (const std::string& name : names) {
    const auto flow = client->GetFlow(name);
    if (!flow.ok()) return FailWith(context, flow.status());
    if (name.find('@') != name.npos || flow->flow().version().name() != name) {
      return Fail(context, kExitUsage, absl::StrCat("`", name, "` is not the name of a flow"),
                  "a flow is taken away with all of its versions");
    }
    context.err.Write(absl::StrCat("  ", name, "\n"));
  }
  if (!Confirm(context, absl::StrCat("take ", Count(static_cast<long long>(names.size()), "flow"),
                                     " away, with triggers?"))) {
    return Fail(context, kExitUsage, "nothing was taken away",
                "say --yes to do it without being asked");
  }
  for (const std::string& name : names) {
    if (absl::Status status = client->DeleteFlow(name); !status.ok()) {
      return FailWith(context, status);
    }
    Hint(context, absl::StrCat(name, " is not registered any more"));
  }
  return kExitOk;
}

}  // namespace beamline::cli
