// The checks of a start, cheapest first.
#include "daemon/rpc/start_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/rpc/flow_bundle.h"
#include "daemon/rpc/flow_files.h"
#include "daemon/rpc/named_flow.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/trace.h"
#include "flowspec/digest.h"
#include "flowspec/inputs.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"

namespace beamline::rpc {
namespace {

constexpr size_t kAnswersBytesMax = 1 << 20;
constexpr size_t kViolationsMax = 100;  // in one answer

absl::Status CheckLabels(const v1::StartRunRequest& request) {
  if (request.labels_size() > kLabelsMax) {
    return Refusal(Reason::kRequestTooLarge,
                   absl::StrCat("labels: at most ", kLabelsMax, " are allowed"))
        .With("field", "labels")
        .Quota("labels", absl::StrCat(request.labels_size(), " labels; at most ", kLabelsMax));
  }
  for (const v1::Label& label : request.labels()) {
    if (label.key().empty()) return InvalidField("labels", "a label has no key");
    if (label.key().size() > kLabelKeyBytesMax) {
      return TooLarge("labels.key", label.key().size(), kLabelKeyBytesMax);
    }
    if (label.value().size() > kLabelValueBytesMax) {
      return TooLarge("labels.value", label.value().size(), kLabelValueBytesMax);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSizes(const v1::StartRunRequest& request) {
  if (request.flow_source().size() > kFlowBytesMax) {
    return TooLarge("flow_source", request.flow_source().size(), kFlowBytesMax);
  }
  if (request.inputs().size() > kInputsBytesMax) {
    return TooLarge("inputs", request.inputs().size(), kInputsBytesMax);
  }
  if (request.request_id().size() > kRequestIdBytesMax) {
    return TooLarge("request_id", request.request_id().size(), kRequestIdBytesMax);
  }
  return CheckLabels(request);
}

// One of the two ways to say which flow is meant.
absl::Status CheckSource(const v1::StartRunRequest& request) {
  if (request.flow().empty()) return absl::OkStatus();
  if (!request.flow_source().empty()) {
    return InvalidField("flow", "give a registered flow or a source, not both");
  }
  if (request.files().empty()) return absl::OkStatus();
  return InvalidField("files", "a registered flow brings its own along");
}

absl::Status CheckAnswers(const std::string& json) {
  if (json.size() > kAnswersBytesMax) return TooLarge("llm_answers", json.size(), kAnswersBytesMax);
  if (json.empty()) return absl::OkStatus();
  bool responses = false;
  const bool valid = flowspec::CheckJson(json).ok();
  if (valid) {
    for (const auto& [key, value] : flowspec::ObjectMembers(json)) {
      responses = responses || (key == "\"responses\"" && flowspec::JsonKind(value) == '{');
    }
  }
  if (responses) return absl::OkStatus();
  return InvalidField("llm_answers",
                      "must be JSON as in {\"responses\": {\"draft\": [\"Hello\"]}}");
}

// `break_at` and `only` name steps.
absl::Status CheckSteps(const flowspec::Flow& flow, const v1::StartRunRequest& request) {
  const auto find = [&](const std::string& id, bool top) {
    return std::any_of(flow.steps.begin(), flow.steps.end(), [&](const flowspec::Step& step) {
      return step.id == id &&
             (!top || (step.parent < 0 && step.section == flowspec::Section::kMain));
    });
  };
  for (const std::string& id : request.break_at()) {
    if (!find(id, false)) {
      return InvalidField("break_at", absl::StrCat("the flow has no step `", id, "`"));
    }
  }
  if (request.only().empty() || find(request.only(), true)) return absl::OkStatus();
  return InvalidField(
      "only", absl::StrCat("the flow has no top-level step `", request.only(), "` in `steps`"));
}

// Nothing is recorded of a run that could not do its work here. A request that has started its run
// already is told of that one, whatever the daemon has by now.
absl::Status CheckBundle(const Backend& backend, const FlowBundle& bundle,
                         const v1::StartRunRequest& request) {
  absl::StatusOr<std::vector<FileFinding>> wrong = WhatIsWrong(backend, bundle);
  if (!wrong.ok()) return wrong.status();
  if (!request.llm_answers().empty()) {  // then no model is asked
    std::erase_if(*wrong, [](const FileFinding& f) { return f.finding.code == "BL0603"; });
  }
  if (wrong->empty()) return absl::OkStatus();
  const std::string& request_id = request.request_id();
  if (!request_id.empty()) {
    const auto known = backend.events.FindRequest(kTenant, request_id);
    if (known.ok() && known->has_value()) return absl::OkStatus();
  }
  return RefuseFlow(*wrong);
}

// The flow's labels, and over them those of the request; sorted.
run::Labels MergeLabels(const flowspec::Flow& flow, const v1::StartRunRequest& request) {
  run::Labels labels = flow.labels;
  for (const v1::Label& label : request.labels()) labels.emplace_back(label.key(), label.value());
  std::stable_sort(labels.begin(), labels.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  run::Labels merged;
  for (auto& label : labels) {
    if (!merged.empty() && merged.back().first == label.first) merged.pop_back();  // the later one
    merged.push_back(std::move(label));
  }
  return merged;
}

// Of what makes two requests the same: flow, inputs, labels, workspace and files, each with its
// length in front. Sensitive values are left out: a hash in the log would let them be guessed. A
// flow that was named stays the same request when the name comes to mean another version.
std::string HashOf(const v1::StartRunRequest& request, const engine::StartRequest& start) {
  std::string canonical;
  const auto add = [&](std::string_view part) {
    absl::StrAppend(&canonical, part.size(), ":", absl::string_view(part.data(), part.size()));
  };
  add(request.flow().empty() ? start.flow->flow().digest : request.flow());
  add(start.inputs_json);
  for (const auto& [key, value] : start.labels) {
    add(key);
    add(value);
  }
  add(start.workspace);
  if (!request.llm_answers().empty()) add(request.llm_answers());
  for (const v1::FlowFile& file : request.files()) {
    add(file.path());
    add(file.source());
  }
  return flowspec::Sha256Hex(canonical);
}

// A run that was started by an earlier call has the trace of that call.
absl::Status ReadTraceId(const Backend& backend, const run::RunId& id, std::string* trace_id) {
  const auto first = backend.events.Read(id, 0, 1);
  if (!first.ok()) return first.status();
  if (!first->empty()) {
    if (const auto* started = std::get_if<run::RunStarted>(&first->front().fact)) {
      *trace_id = started->trace_id;
    }
  }
  return absl::OkStatus();
}

// The flow that the request means, ready to run. A registered one brings its `workspace`.
absl::StatusOr<FlowBundle> LoadFlow(const Backend& backend, const v1::StartRunRequest& request,
                                    std::string* workspace) {
  if (request.flow().empty()) {
    return LoadBundle(backend, request.flow_source(), request.files(),
                      engine::FlowCache::Flow::kNew);
  }
  absl::StatusOr<NamedFlow> named = FindFlow(backend, request.flow());
  if (!named.ok()) return named.status();
  *workspace = named->version.workspace;
  return LoadKept(backend, named->version.digest);
}

// Where the run works: where the request says, where the flow was registered from, or, of what came
// over the network, in a directory of its own.
void SetWorkspace(const Backend& backend, const Caller& caller, const v1::StartRunRequest& request,
                  const std::string& registered, engine::StartRequest* start) {
  start->workspace = request.workspace().empty() ? registered : request.workspace();
  if (!start->workspace.empty()) return;
  if (caller.remote || !request.flow().empty()) start->workspace_of = backend.workspace_of;
  start->workspace = "/";
}

}  // namespace

absl::Status RefuseInputs(const std::vector<flowspec::InputViolation>& violations) {
  const flowspec::InputViolation& first = violations.front();
  std::string message =
      absl::StrCat(first.name.empty() ? "inputs" : first.name, ": ", first.message);
  if (violations.size() > 1) absl::StrAppend(&message, " (and ", violations.size() - 1, " more)");
  Refusal refusal(Reason::kInputsInvalid, std::move(message));
  for (size_t i = 0; i < std::min(violations.size(), kViolationsMax); ++i) {
    const flowspec::InputViolation& violation = violations[i];
    refusal.Violation(violation.name.empty() ? "inputs" : absl::StrCat("inputs.", violation.name),
                      violation.message);
  }
  return refusal;
}

absl::Status RefuseStart(const absl::Status& status, const std::string& request_id) {
  // What the engine refuses (engine.h), with its words.
  const auto refuse = [&](Reason reason) { return Refusal(reason, std::string(status.message())); };
  if (absl::IsFailedPrecondition(status)) return refuse(Reason::kRunExists);
  if (absl::IsAborted(status)) return refuse(Reason::kConcurrencyExceeded);
  if (absl::IsInvalidArgument(status)) return refuse(Reason::kInputsInvalid);
  if (!absl::IsAlreadyExists(status)) return status;
  if (request_id.empty()) return refuse(Reason::kRequestIdReused);
  return Refusal(Reason::kRequestIdReused,
                 "this request id has started a run of another flow, inputs, labels or workspace; "
                 "use another one")
      .With("request_id", request_id)
      .Violation("request_id", "was used for a request with another content");
}

absl::Status CheckWorkspace(const std::string& workspace) {
  if (workspace.size() > kPathBytesMax)
    return TooLarge("workspace", workspace.size(), kPathBytesMax);
  if (!workspace.empty() && workspace[0] != '/') {
    return InvalidField("workspace", "must be an absolute path");
  }
  if (workspace.find('\0') != workspace.npos) {
    return InvalidField("workspace", "holds a NUL byte");
  }
  return absl::OkStatus();
}

absl::StatusOr<engine::StartRequest> CheckStart(const Backend& backend, const Caller& caller,
                                                const v1::StartRunRequest& request) {
  if (absl::Status status = CheckSizes(request); !status.ok()) return status;
  if (absl::Status status = CheckWorkspace(request.workspace()); !status.ok()) return status;
  if (absl::Status status = CheckSource(request); !status.ok()) return status;
  if (caller.remote && !request.workspace().empty()) {
    return Refusal(Reason::kLocalOnly,
                   "workspace: a run that is started over the network gets a directory of its own; "
                   "leave it empty")
        .With("field", "workspace");
  }
  if (absl::Status status = CheckFlowFiles(request.files()); !status.ok()) return status;
  if (absl::Status status = CheckAnswers(request.llm_answers()); !status.ok()) return status;
  std::string workspace;
  absl::StatusOr<FlowBundle> bundle = LoadFlow(backend, request, &workspace);
  if (!bundle.ok()) return bundle.status();
  const flowspec::Flow& flow = bundle->flow->flow();
  if (absl::Status status = CheckDigest(*bundle, request.check_digest()); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckSteps(flow, request); !status.ok()) return status;
  if (absl::Status status = CheckBundle(backend, *bundle, request); !status.ok()) return status;
  flowspec::CheckedInputs inputs =
      flowspec::CheckInputs(flow, request.inputs().empty() ? "{}" : request.inputs());
  if (!inputs.violations.empty()) return RefuseInputs(inputs.violations);

  engine::StartRequest start;
  start.flow = bundle->flow;
  start.inputs_json = std::move(inputs.json);
  start.sensitive = std::move(inputs.sensitive);
  start.labels = MergeLabels(flow, request);
  start.actor = caller.actor;
  start.tenant = kTenant;
  start.trace_id =
      TraceIdOf(request.traceparent().empty() ? caller.traceparent : request.traceparent());
  if (start.trace_id.empty()) start.trace_id = NewTraceId(backend.clock);
  SetWorkspace(backend, caller, request, workspace, &start);
  start.files = std::move(bundle->files);
  start.sources = std::move(bundle->sources);
  start.request_id = request.request_id();
  if (!start.request_id.empty()) start.request_hash = HashOf(request, start);
  start.break_at = {request.break_at().begin(), request.break_at().end()};
  start.only = request.only();
  if (!request.llm_answers().empty()) {
    absl::StatusOr<run::Value> answers = engine::Spill(request.llm_answers(), backend.blobs);
    if (!answers.ok()) return answers.status();
    start.llm_answers = *std::move(answers);
  }
  return start;
}

void StartRun(const Backend& backend, const Caller& caller, const v1::StartRunRequest& request,
              v1::StartRunResponse* response, Done done) {
  absl::StatusOr<engine::StartRequest> start = CheckStart(backend, caller, request);
  if (!start.ok()) return done(start.status());
  response->set_flow_id(start->flow->flow().digest);
  response->set_trace_id(start->trace_id);
  // On the engine's thread, which has better things to do than to write to a socket.
  auto started = [&backend, &request, response,
                  done = std::move(done)](absl::StatusOr<engine::Started> result) mutable {
    backend.answers.Do(
        [&backend, &request, response, result = std::move(result), done = std::move(done)] {
          if (!result.ok()) return done(RefuseStart(result.status(), request.request_id()));
          response->set_run_id(result->run.ToString());
          response->set_existing(result->existing);
          done(result->existing ? ReadTraceId(backend, result->run, response->mutable_trace_id())
                                : absl::OkStatus());
        });
  };
  backend.engine.StartRun(*std::move(start), std::move(started));
}

}  // namespace beamline::rpc
