// `beamline run` and `beamline submit`: from a flow file to a run, and on to its end.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/flow_file.h"
#include "cli/flow_name.h"
#include "cli/follow.h"
#include "cli/inputs.h"
#include "cli/junit.h"
#include "cli/mock_llm.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/run_json.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/findings_text.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

// A flow that is ready to be started.
struct Prepared {
  std::unique_ptr<Client> client;  // null: not needed so far
  SourceFile source;
  std::shared_ptr<const flowspec::Flow> flow;
  std::string digest;  // of the flow with what it brings along
  v1::StartRunRequest request;
  absl::Duration timeout = absl::InfiniteDuration();
};

// Shows `findings`; true if one of them is an error.
bool Tell(const Context& context, const SourceFile& source, const flowspec::Findings& findings) {
  if (!findings.empty()) {
    context.err.Write(flowspec::FindingsText({source.name, source.text, findings},
                                             {context.err.color, context.width}));
  }
  return flowspec::HasErrors(findings);
}

// Parses without compiling expressions, which the daemon does anyway: a start stays quick.
int CheckFlow(const Context& context, Prepared* prepared) {
  flowspec::ParseResult result =
      flowspec::ParseFlow(prepared->source.text, {.compile_expressions = false});
  if (Tell(context, prepared->source, result.findings) || result.flow == nullptr) {
    return kExitInvalid;
  }
  prepared->flow = std::move(result.flow);
  const bool bad = Tell(context, prepared->source, flowspec::CheckExecutable(*prepared->flow));
  return bad ? kExitInvalid : kExitOk;
}

int ReadLabels(const Arguments& arguments, const Context& context, v1::StartRunRequest* request) {
  for (const std::string& text : arguments.All("label")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(context, kExitUsage, absl::StrCat("`", text, "` is no label: write key=value"));
    }
    v1::Label* label = request->add_labels();
    label->set_key(text.substr(0, equals));
    label->set_value(text.substr(equals + 1));
  }
  return kExitOk;
}

// Everything that can be done, and can fail, before a run is started; of a file, before a daemon is
// needed.
int Prepare(const Arguments& arguments, const Context& context, Prepared* prepared) {
  if (arguments.Has("timeout") &&
      !absl::ParseDuration(arguments.Get("timeout"), &prepared->timeout)) {
    return Fail(context, kExitUsage,
                absl::StrCat("`", arguments.Get("timeout"), "` is no duration"),
                "as in 90s, 20m, 1h30m");
  }
  const std::string& word = arguments.Get("FLOW");
  int code = kExitOk;
  std::optional<SourceFile> source = ReadFlow(context, word, &prepared->client, &code);
  if (!source) return code;
  prepared->source = *std::move(source);
  if (code = CheckFlow(context, prepared); code != kExitOk) return code;
  v1::StartRunRequest& request = prepared->request;
  if (code = ReadLabels(arguments, context, &request); code != kExitOk) return code;
  std::optional<std::string> inputs =
      CollectInputs(context, *prepared->flow,
                    {.pairs = arguments.All("input"), .file = arguments.Get("inputs-file")}, &code);
  if (!inputs) return code;
  const std::string& key = arguments.Get("idempotency-key");
  request.set_request_id(key.empty() ? NewRequestId() : key);
  request.set_inputs(*std::move(inputs));
  if (IsFlowFile(word)) {
    request.set_flow_source(prepared->source.text);
    // Elsewhere, a directory of this machine means nothing.
    if (!context.remote) request.set_workspace(WorkspaceOf(word));
    auto files = LoadBundle(context, word, *prepared->flow, &code);
    if (!files) return code;
    prepared->digest = DigestOf(*prepared->flow, *files);
    for (BundleFile& one : *files) {
      v1::FlowFile* sent = request.add_files();
      sent->set_path(std::move(one.path));
      sent->set_source(std::move(one.text));
    }
  } else {
    request.set_flow(word);  // which starts where it was registered from
    prepared->digest = DigestOf(*prepared->flow, prepared->source.brings);
  }
  request.set_traceparent(ProcessEnvironment()("TRACEPARENT"));
  request.set_check_digest(arguments.Get("check-digest"));
  for (const std::string& step : arguments.All("break-at")) request.add_break_at(step);
  request.set_only(arguments.Get("only"));
  return kExitOk;
}

// The answers of --mock-llm.
int TakeAnswers(const Arguments& arguments, const Context& context, Prepared* prepared) {
  const std::string& word = arguments.Get("mock-llm");
  if (word.empty()) return kExitOk;
  absl::StatusOr<std::string> answers = RecordedAnswers(*prepared->client, word);
  if (!answers.ok()) return FailWith(context, answers.status());
  prepared->request.set_llm_answers(*std::move(answers));
  return kExitOk;
}

// Tells why the daemon did not start the run. What it found in the flow is shown at its place.
int FailToStart(const Context& context, const Prepared& prepared, const absl::Status& status) {
  if (DescribeError(status).reason == "FLOW_INVALID") {
    if (Tell(context, prepared.source, flowspec::ParseFlow(prepared.source.text).findings)) {
      return kExitInvalid;
    }
  }
  return FailWith(context, status);
}

FlowPlaces PlacesOf(const Prepared& prepared, const std::string& word) {
  FlowPlaces places;
  if (word != "-" && IsFlowFile(word)) places.file = word;
  for (const flowspec::Step& step : prepared.flow->steps) {
    places.line_of_step[step.id] = step.span.line;
  }
  return places;
}

// The run itself, if it was asked for, or else the outputs that the flow states.
int PrintOutcome(const Context& context, Client& client, const v1::Run& run) {
  const BlobReader blobs = BlobsOf(client, run.id());
  if (context.wants_data()) return PrintData(context, RunJson(run, blobs));
  const std::string outputs = ValueJson(run.outputs(), blobs);
  return outputs == "null" || outputs == "{}" ? int{kExitOk} : PrintData(context, outputs);
}

// The first task of these steps that waits for somebody; 0: none.
uint64_t OpenTask(const google::protobuf::RepeatedPtrField<v1::Step>& steps) {
  for (const v1::Step& step : steps) {
    if (step.status() == v1::STATUS_WAITING && step.task() != 0) return step.task();
    if (const uint64_t below = OpenTask(step.steps())) return below;
    for (const v1::Item& item : step.items()) {
      if (item.status() == v1::STATUS_WAITING && item.task() != 0) return item.task();
      if (const uint64_t below = OpenTask(item.steps())) return below;
    }
  }
  return 0;
}

// What brings a run forward that waits.
std::string WaitingHint(const v1::Run& run, const std::string& id) {
  if (const uint64_t task = OpenTask(run.steps())) {
    return absl::StrCat("the run waits for a decision: t", task, "\n→ beamline review t", task,
                        " · beamline approve t", task, " · beamline wait ", id);
  }
  const bool held = std::any_of(run.steps().begin(), run.steps().end(), [](const v1::Step& step) {
    return step.status() == v1::STATUS_WAITING && absl::StartsWith(step.reason(), "held");
  });
  if (held) {
    return absl::StrCat("a step is held before its start\n→ beamline resume ", id,
                        " · beamline cancel ", id);
  }
  if (run.status() == v1::STATUS_PAUSED) {
    return absl::StrCat("the run is paused\n→ beamline resume ", id, " · beamline cancel ", id);
  }
  return absl::StrCat("the run waits for a person or a signal\n→ beamline why ", id,
                      " · beamline signal ", id, " NAME · beamline cancel ", id);
}

// What to do next, by how it ended.
void HintNext(const Context& context, const Followed& followed, const std::string& run_id) {
  const std::string id = ShortId(run_id);
  switch (followed.end) {
    case FollowEnd::kWaiting:
      return Hint(context, WaitingHint(followed.view->run(), id));
    case FollowEnd::kDetached:
      return Hint(context, absl::StrCat("the run goes on\n→ beamline tail ", id,
                                        " · beamline wait ", id, " · beamline cancel ", id));
    case FollowEnd::kTimeout:
      return Hint(context, absl::StrCat("the time is over; the run goes on\n→ beamline wait ", id,
                                        " · beamline cancel ", id));
    case FollowEnd::kInterrupted:
      return Hint(context, absl::StrCat("→ beamline runs show ", id));
    case FollowEnd::kFinished:
      if (followed.view->run().status() == v1::STATUS_SUCCEEDED) {
        const bool artifacts = HasArtifacts(followed.view->run().steps());
        return Hint(context, artifacts ? absl::StrCat("→ beamline runs show ", id,
                                                      " · beamline runs export ", id, " --to DIR")
                                       : absl::StrCat("→ beamline runs show ", id));
      }
      return Hint(context, absl::StrCat("→ beamline why ", id, " · beamline retry ", id,
                                        " · beamline runs show ", id));
  }
}

int Watch(const Arguments& arguments, const Context& context, Client& client, SignalPipe& signals,
          const Prepared& prepared, const std::string& run_id) {
  absl::StatusOr<Followed> followed =
      FollowRun(context, client, signals,
                {.run_id = run_id,
                 .progress = ProgressKindFromWord(arguments.Get("progress")),
                 .places = PlacesOf(prepared, arguments.Get("FLOW")),
                 .timeout = prepared.timeout});
  if (!followed.ok()) return FailWith(context, followed.status());
  const v1::Run& run = followed->view->run();
  if (const std::string& file = arguments.Get("junit"); !file.empty()) {
    if (absl::Status status = WriteJunit(run, file); !status.ok()) return FailWith(context, status);
  }
  if (followed->end == FollowEnd::kFinished || context.wants_data()) {
    if (int code = PrintOutcome(context, client, run); code != kExitOk) return code;
  }
  HintNext(context, *followed, run_id);
  return ExitCodeOf(*followed);
}

// Tells the id of a run that was started and is not watched.
int PrintStarted(const Context& context, const v1::StartRunResponse& response) {
  const std::string& id = response.run_id();
  if (response.existing()) Hint(context, "this key has started the run before");
  if (context.wants_data()) {
    return PrintData(context, absl::StrCat("{\"id\":", QuoteJson(id), ",\"existing\":",
                                           response.existing() ? "true" : "false", "}"));
  }
  context.out.Write(id + "\n");
  Hint(context, absl::StrCat("→ beamline tail ", ShortId(id), " · beamline wait ", ShortId(id)));
  return kExitOk;
}

}  // namespace

namespace {

// What would run, for exactly this flow; nothing is started.
int DryRun(const Arguments& arguments, Context& context, const Prepared& prepared) {
  if (int code = Plan(arguments, context); code != kExitOk) return code;
  Hint(context,
       absl::StrCat("inputs: ", prepared.request.inputs(), "\nnothing was started\n",
                    "→ beamline run ", arguments.Get("FLOW"), " --check-digest ", prepared.digest));
  return kExitOk;
}

}  // namespace

int RunFlow(const Arguments& arguments, Context& context) {
  Prepared prepared;
  if (int code = Prepare(arguments, context, &prepared); code != kExitOk) return code;
  if (arguments.On("dry-run")) return DryRun(arguments, context, prepared);
  if (int code = EnsureConnected(context, &prepared.client); code != kExitOk) return code;
  if (int code = TakeAnswers(arguments, context, &prepared); code != kExitOk) return code;
  Client& client = *prepared.client;
  // From here on a signal must not leave a run behind that nobody knows of.
  SignalPipe signals;
  auto started = client.StartRun(prepared.request);
  if (!started.ok()) return FailToStart(context, prepared, started.status());
  if (arguments.On("detach")) return PrintStarted(context, *started);
  if (started->existing()) Hint(context, "this key has started the run before");
  return Watch(arguments, context, client, signals, prepared, started->run_id());
}

int Submit(const Arguments& arguments, Context& context) {
  Prepared prepared;
  if (int code = Prepare(arguments, context, &prepared); code != kExitOk) return code;
  if (int code = EnsureConnected(context, &prepared.client); code != kExitOk) return code;
  if (int code = TakeAnswers(arguments, context, &prepared); code != kExitOk) return code;
  Client& client = *prepared.client;
  auto started = client.StartRun(prepared.request);
  if (!started.ok()) return FailToStart(context, prepared, started.status());
  const bool wait = arguments.On("wait");
  if (int code = PrintStarted(context, *started); code != kExitOk || !wait) return code;
  return AwaitRun(
      context, client,
      {.run_id = started->run_id(), .timeout = prepared.timeout, .junit = arguments.Get("junit")});
}

}  // namespace beamline::cli
