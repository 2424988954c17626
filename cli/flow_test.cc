// `beamline flow test`: runs the cases under `test` of flows, with answers in place of models.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/flow_file.h"
#include "cli/flow_name.h"
#include "cli/junit.h"
#include "cli/mock_llm.h"
#include "cli/neighbours.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/run_json.h"
#include "cli/run_name.h"
#include "cli/status_line.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/json_array.h"
#include "flowspec/json_match.h"
#include "flowspec/json_text.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

using flowspec::TestCase;

constexpr size_t kShownBytes = 200;  // of a value in a message

// A flow whose cases are to be run.
struct Suite {
  std::string file;
  std::shared_ptr<const flowspec::Flow> flow;
  v1::StartRunRequest request;  // without inputs and answers
  std::vector<const TestCase*> cases;
};

std::string Shown(const std::string& json) {
  return json.size() <= kShownBytes ? json : absl::StrCat(json.substr(0, kShownBytes), "…");
}

// kExitOk, or the exit code after telling.
int LoadSuite(const Arguments& arguments, const Context& context, const std::string& file,
              Suite* suite) {
  const absl::StatusOr<SourceFile> source = ReadSource(file);
  if (!source.ok()) return Fail(context, kExitNotFound, std::string(source.status().message()));
  int code = kExitOk;
  flowspec::FlowFiles beside = FilesBeside(file);
  suite->file = source->name;
  suite->flow = ParseSource(context, *source, &code, beside.Children());
  if (suite->flow == nullptr) return code;
  auto files = LoadBundle(context, file, *suite->flow, &code);
  if (!files) return code;
  suite->request.set_flow_source(source->text);
  if (!context.remote) suite->request.set_workspace(WorkspaceOf(file));
  for (BundleFile& one : *files) {
    v1::FlowFile* sent = suite->request.add_files();
    sent->set_path(std::move(one.path));
    sent->set_source(std::move(one.text));
  }
  const std::string& only = arguments.Get("case");
  for (const TestCase& test : suite->flow->tests) {
    if (only.empty() || test.name == only) suite->cases.push_back(&test);
  }
  return kExitOk;
}

// The answers of a case, as StartRunRequest.llm_answers.
absl::StatusOr<std::string> AnswersOf(const Suite& suite, const TestCase& test) {
  if (test.answers_file.empty()) return absl::StrCat("{\"responses\":", test.answers, "}");
  const absl::StatusOr<SourceFile> file =
      ReadSource(absl::StrCat(WorkspaceOf(suite.file), "/", test.answers_file));
  if (!file.ok()) return file.status();
  return file->text;
}

// What a run came to against what was expected, a line for each difference.
std::vector<std::string> Differences(const TestCase& test, const v1::Run& run,
                                     const BlobReader& blobs) {
  std::vector<std::string> lines;
  const char* status = proto::StatusWord(run.status());
  if (status != test.status) {
    lines.push_back(absl::StrCat(
        "the run is ", status, ", not ", test.status,
        run.failure().kind().empty() ? "" : absl::StrCat(": ", FailureText(run.failure()))));
  }
  const auto compare = [&](const std::string& what, const v1::Value* value,
                           const std::string& wanted) {
    const std::string json = value == nullptr ? "null" : ValueJson(*value, blobs);
    if (flowspec::JsonHolds(json, wanted)) return;
    lines.push_back(absl::StrCat(what, " is ", Shown(json), ", not ", Shown(wanted)));
  };
  const std::string outputs = ValueJson(run.outputs(), blobs);
  for (const auto& [name, wanted] : flowspec::ObjectMembers(test.outputs)) {
    std::string json = "null";
    for (const auto& [key, value] : flowspec::ObjectMembers(outputs)) {
      if (key == name) json = value;
    }
    if (flowspec::JsonHolds(json, wanted)) continue;
    lines.push_back(absl::StrCat("output ", flowspec::UnquoteJson(name), " is ", Shown(json),
                                 ", not ", Shown(std::string(wanted))));
  }
  for (const auto& [path, wanted] : test.statuses) {
    const v1::Item* item = FindItem(run, path);
    const v1::Step* step = item == nullptr ? FindStep(run, path) : nullptr;
    const char* word = item != nullptr   ? proto::StatusWord(item->status())
                       : step != nullptr ? proto::StatusWord(step->status())
                                         : "not there";
    if (word != wanted)
      lines.push_back(absl::StrCat("step ", path, " is ", word, ", not ", wanted));
  }
  for (const auto& [path, wanted] : test.step_outputs) {
    const v1::Item* item = FindItem(run, path);
    const v1::Step* step = item == nullptr ? FindStep(run, path) : nullptr;
    compare(absl::StrCat("the output of ", path),
            item != nullptr   ? &item->output()
            : step != nullptr ? &step->output()
                              : nullptr,
            wanted);
  }
  return lines;
}

// Runs one case; errors are those of the daemon, but for a start that it refuses.
absl::StatusOr<TestResult> RunCase(Client& client, const Suite& suite, const TestCase& test,
                                   absl::Duration timeout) {
  const absl::Time began = absl::Now();
  TestResult result{suite.file, suite.flow->name, test.name};
  absl::StatusOr<std::string> answers = AnswersOf(suite, test);
  if (!answers.ok()) {
    result.problems = {std::string(answers.status().message())};
    return result;
  }
  v1::StartRunRequest request = suite.request;
  request.set_request_id(NewRequestId());
  request.set_inputs(test.inputs);
  request.set_llm_answers(*std::move(answers));
  const auto started = client.StartRun(request);
  if (!started.ok()) {
    if (absl::IsUnavailable(started.status())) return started.status();
    result.problems = {
        absl::StrCat("it was not started: ", std::string(started.status().message()))};
    return result;
  }
  result.run_id = started->run_id();
  v1::WaitRunRequest wait;
  wait.set_run_id(result.run_id);
  wait.set_or_waiting(true);
  wait.set_timeout_ms(absl::ToInt64Milliseconds(timeout));
  const auto waited = client.WaitRun(wait);
  if (!waited.ok()) return waited.status();
  const auto view = LoadView(client, result.run_id);
  if (!view.ok()) return view.status();
  const v1::Run& run = (*view)->run();
  result.problems = Differences(test, run, BlobsOf(client, result.run_id));
  if (!proto::IsTerminal(run.status())) {  // nothing of a test stays behind
    v1::CancelRunRequest cancel;
    cancel.set_request_id(NewRequestId());
    cancel.set_run_id(result.run_id);
    cancel.set_reason("its test is over");
    if (const auto stopped = client.CancelRun(cancel); !stopped.ok()) return stopped.status();
  }
  if (!waited->reached()) {
    result.problems = {absl::StrCat("it was not over after ", ShortDuration(timeout))};
  }
  result.took = absl::Now() - began;
  return result;
}

void TellResult(const Context& context, const TestResult& result) {
  const bool good = result.problems.empty();
  std::string text = absl::StrCat(
      Paint(context.out.color, good ? Ink::kGreen : Ink::kRed, good ? "✔" : "✖"), " ",
      Printable(result.suite), ": ", Printable(result.name), " ", ShortDuration(result.took), "\n");
  for (const std::string& problem : result.problems) {
    absl::StrAppend(&text, "    ", Printable(problem), "\n");
  }
  if (!good && !result.run_id.empty()) {
    absl::StrAppend(&text, "    beamline why ", ShortId(result.run_id), "\n");
  }
  context.out.Write(text);
}

std::string JsonOf(const TestResult& result) {
  std::vector<std::string> problems;
  for (const std::string& problem : result.problems) problems.push_back(QuoteJson(problem));
  return absl::StrCat(
      "{\"file\":", QuoteJson(result.file), ",\"flow\":", QuoteJson(result.suite),
      ",\"case\":", QuoteJson(result.name), ",\"passed\":", problems.empty() ? "true" : "false",
      ",\"run\":", QuoteJson(result.run_id), ",\"problems\":[", absl::StrJoin(problems, ","), "]}");
}

// The case that a run would be, as YAML to be put under `test`.
int Record(const Context& context, const std::string& word) {
  std::unique_ptr<Client> client;
  if (int code = EnsureConnected(context, &client); code != kExitOk) return code;
  const absl::StatusOr<std::string> id = client->ResolveRun(word);
  if (!id.ok()) return FailWith(context, id.status());
  const auto view = LoadView(*client, *id);
  if (!view.ok()) return FailWith(context, view.status());
  const v1::Run& run = (*view)->run();
  const absl::StatusOr<std::string> answers = RecordedAnswers(*client, *id);
  if (!answers.ok()) return FailWith(context, answers.status());
  const BlobReader blobs = BlobsOf(*client, *id);
  std::string text = absl::StrCat("  - name: as run ", ShortId(*id),
                                  "\n    inputs: ", ValueJson(run.inputs(), blobs), "\n    llm: ");
  for (const auto& [key, value] : flowspec::ObjectMembers(*answers)) text += value;
  absl::StrAppend(&text, "\n    expect:\n      status: ", proto::StatusWord(run.status()), "\n");
  const std::string outputs = ValueJson(run.outputs(), blobs);
  if (flowspec::JsonKind(outputs) == '{') absl::StrAppend(&text, "      outputs: ", outputs, "\n");
  context.out.Write(text);
  Hint(context, "put it under `test:` of the flow\n→ beamline flow test FILE");
  return kExitOk;
}

int Conclude(const Arguments& arguments, const Context& context,
             const std::vector<TestResult>& results) {
  long long failed = 0;
  std::vector<std::string> json;
  for (const TestResult& result : results) {
    failed += result.problems.empty() ? 0 : 1;
    json.push_back(JsonOf(result));
  }
  if (const std::string& file = arguments.Get("junit"); !file.empty()) {
    absl::Status written = WriteWholeFile(file, TestsXml(results));
    if (!written.ok()) return FailWith(context, written);
  }
  if (context.wants_data()) {
    const int code = PrintData(context, absl::StrCat("[", absl::StrJoin(json, ","), "]"));
    if (code != kExitOk) return code;
  }
  const long long all = static_cast<long long>(results.size());
  Hint(context, failed == 0 ? absl::StrCat(Count(all, "case"), " passed")
                            : absl::StrCat(failed, " of ", Count(all, "case"), " failed"));
  return failed == 0 ? kExitOk : kExitFailed;
}

}  // namespace

int FlowTest(const Arguments& arguments, Context& context) {
  absl::Duration timeout;
  if (!absl::ParseDuration(arguments.Get("timeout"), &timeout) || timeout <= absl::ZeroDuration()) {
    return Fail(context, kExitUsage,
                absl::StrCat("`", arguments.Get("timeout"), "` is no duration"),
                "as in 90s, 20m, 1h30m");
  }
  if (arguments.Has("record")) return Record(context, arguments.Get("record"));
  if (arguments.All("FILE").empty()) {
    return Fail(context, kExitUsage, "name flow files, or a run with --record");
  }
  std::vector<Suite> suites;
  size_t cases = 0;
  for (const std::string& file : arguments.All("FILE")) {
    if (int code = LoadSuite(arguments, context, file, &suites.emplace_back()); code != kExitOk) {
      return code;
    }
    cases += suites.back().cases.size();
  }
  if (cases == 0) {
    return Fail(context, kExitUsage,
                arguments.Has("case") ? "no case has this name" : "there is no case to run",
                "cases stand under `test:` of a flow; beamline explain test");
  }
  std::unique_ptr<Client> client;
  if (int code = EnsureConnected(context, &client); code != kExitOk) return code;
  std::vector<TestResult> results;
  for (const Suite& suite : suites) {
    for (const TestCase* test : suite.cases) {
      absl::StatusOr<TestResult> result = RunCase(*client, suite, *test, timeout);
      if (!result.ok()) return FailWith(context, result.status());
      if (!context.wants_data()) TellResult(context, *result);
      results.push_back(*std::move(result));
    }
  }
  return Conclude(arguments, context, results);
}

}  // namespace beamline::cli
