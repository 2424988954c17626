// `beamline retry`, `replay` and `skip`: each says what it changed and what comes next.
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/flow_file.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/retry_plan.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr int kNamesShown = 5;

// "`build`, `test` and 3 more"
std::string Listed(const Names& names) {
  std::string text;
  for (int i = 0; i < names.size() && i < kNamesShown; ++i) {
    absl::StrAppend(&text, i > 0 ? ", " : "", "`", Printable(names.Get(i)), "`");
  }
  if (names.size() > kNamesShown) {
    absl::StrAppend(&text, " and ", names.size() - kNamesShown, " more");
  }
  return text;
}

std::string JsonList(const Names& names) {
  return absl::StrCat(
      "[",
      absl::StrJoin(names, ",",
                    [](std::string* out, const std::string& name) { *out += QuoteJson(name); }),
      "]");
}

// "k=v" words as an object, typed by the flow of the run. False after telling what is wrong.
bool ReadChanges(const Arguments& arguments, const Context& context, NamedRun& run,
                 const std::string& flow_source, std::string* inputs, int* code) {
  if (!arguments.Has("input")) return true;
  std::string source = flow_source;
  if (source.empty()) {
    auto response = run.client->GetRun(run.id);
    if (!response.ok()) {
      *code = FailWith(context, response.status());
      return false;
    }
    source = response->flow_source();
  }
  const auto flow = flowspec::ParseFlow(source, {.compile_expressions = false}).flow;
  const flowspec::Flow untyped;
  absl::StatusOr<std::string> read =
      ReadInputs(flow == nullptr ? untyped : *flow, {.pairs = arguments.All("input")});
  if (!read.ok()) {
    *code = Fail(context, kExitUsage, std::string(read.status().message()));
    return false;
  }
  *inputs = *std::move(read);
  return true;
}

// A run that goes on: what to look at.
void HintGoesOn(const Context& context, const std::string& what, const std::string& id) {
  Hint(context, absl::StrCat(what, "\n→ beamline tail ", id, " · beamline wait ", id));
}

}  // namespace

int RetryCommand(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  v1::RetryRunRequest request;
  request.set_request_id(NewRequestId());
  request.set_run_id(named->id);
  request.set_step(arguments.Get("step"));
  request.set_downstream(arguments.On("downstream"));
  request.set_failed_items(arguments.Get("items") == "failed");
  request.set_reason(arguments.Get("reason"));
  std::string inputs;
  if (!ReadChanges(arguments, context, *named, "", &inputs, &code)) return code;
  request.set_inputs(inputs);
  if (arguments.On("dry-run")) return PreviewRetry(arguments, context, *named->client, request);
  auto response = named->client->RetryRun(request);
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) {
    return PrintData(context,
                     absl::StrCat("{\"id\":", QuoteJson(named->id),
                                  ",\"status\":", QuoteJson(proto::StatusWord(response->status())),
                                  ",\"steps\":", JsonList(response->steps()),
                                  ",\"following\":", JsonList(response->following()),
                                  ",\"reopened\":", response->reopened() ? "true" : "false", "}"));
  }
  const std::string id = ShortId(named->id);
  std::string text =
      absl::StrCat(id, response->reopened() ? " is open again: " : ": ", Listed(response->steps()),
                   response->steps_size() == 1 ? " runs again" : " run again");
  if (!response->following().empty()) {
    absl::StrAppend(&text, ", then ", Listed(response->following()));
  }
  HintGoesOn(context, text, id);
  return kExitOk;
}

int SkipCommand(const Arguments& arguments, Context& context) {
  if (arguments.Has("result") && arguments.Has("set")) {
    return Fail(context, kExitUsage, "--result and --set exclude each other");
  }
  std::string output = arguments.Get("result");
  if (arguments.Has("set")) {
    const flowspec::Flow untyped;
    absl::StatusOr<std::string> fields = ReadInputs(untyped, {.pairs = arguments.All("set")});
    if (!fields.ok()) return Fail(context, kExitUsage, std::string(fields.status().message()));
    output = *std::move(fields);
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  v1::SkipStepRequest request;
  request.set_request_id(NewRequestId());
  request.set_run_id(named->id);
  request.set_step(arguments.Get("STEP"));
  request.set_reason(arguments.Get("reason"));
  request.set_output(output);
  auto response = named->client->SkipStep(request);
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) {
    return PrintData(context,
                     absl::StrCat("{\"id\":", QuoteJson(named->id),
                                  ",\"status\":", QuoteJson(proto::StatusWord(response->status())),
                                  ",\"step\":", QuoteJson(request.step()),
                                  ",\"following\":", JsonList(response->following()),
                                  ",\"reopened\":", response->reopened() ? "true" : "false", "}"));
  }
  const std::string id = ShortId(named->id);
  std::string text = absl::StrCat(id, response->reopened() ? " is open again: `" : ": `",
                                  Printable(request.step()), "` is taken as done");
  if (!response->following().empty()) {
    absl::StrAppend(&text, ", now ", Listed(response->following()),
                    response->following_size() == 1 ? " runs" : " run");
  }
  HintGoesOn(context, text, id);
  return kExitOk;
}

int ReplayCommand(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  v1::ReplayRunRequest request;
  request.set_request_id(NewRequestId());
  request.set_from(arguments.Get("from"));
  if (const std::string& file = arguments.Get("flow"); !file.empty()) {
    absl::StatusOr<SourceFile> source = ReadSource(file);
    if (!source.ok()) return Fail(context, kExitNotFound, std::string(source.status().message()));
    const auto flow = ParseSource(context, *source, &code);
    if (flow == nullptr) return code;
    auto files = LoadBundle(context, file, *flow, &code);
    if (!files) return code;
    request.set_flow_source(source->text);
    for (BundleFile& one : *files) {
      v1::FlowFile* sent = request.add_files();
      sent->set_path(std::move(one.path));
      sent->set_source(std::move(one.text));
    }
  }
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  request.set_run_id(named->id);
  std::string inputs;
  if (!ReadChanges(arguments, context, *named, request.flow_source(), &inputs, &code)) return code;
  request.set_inputs(inputs);
  auto response = named->client->ReplayRun(request);
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) {
    return PrintData(context, absl::StrCat("{\"id\":", QuoteJson(response->run_id()),
                                           ",\"replay_of\":", QuoteJson(named->id),
                                           ",\"reused\":", JsonList(response->reused()),
                                           ",\"again\":", JsonList(response->again()), "}"));
  }
  context.out.Write(absl::StrCat(response->run_id(), "\n"));
  const std::string id = ShortId(response->run_id());
  HintGoesOn(
      context,
      absl::StrCat(
          id, " goes on from ", ShortId(named->id), ": ",
          response->reused().empty()
              ? "nothing is taken over"
              : absl::StrCat("the results of ", Listed(response->reused()), " are taken over"),
          ", ", Listed(response->again()), response->again_size() == 1 ? " runs" : " run"),
      id);
  return kExitOk;
}

}  // namespace beamline::cli
