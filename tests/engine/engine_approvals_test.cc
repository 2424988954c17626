// Approvals: decisions across crashes and restarts, numbers, feedback, and idempotency keys.
#include <doctest/doctest.h>

#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

const char kArticle[] = R"(beamline: flow/v1
name: article
steps:
  - id: draft
    run: [./draft, '${{ feedback.comment | default("none") }}']
    capture: text
  - id: review
    approve:
      title: 'Publish ${{ steps.draft.output }}?'
      show: '${{ steps.draft.output }}'
      on_changes: {rerun: draft}
      timeout: 1h
  - id: publish
    set: {by: '${{ steps.review.output.by[0] }}', text: '${{ steps.draft.output }}'}
)";

const char kForm[] = R"(beamline: flow/v1
name: form
steps:
  - id: amount
    approve:
      title: How much?
      form: {type: object, required: [cents], properties: {cents: {type: integer}}}
    output: '${{ output.cents }}'
  - id: pay
    set: {cents: '${{ steps.amount.output }}'}
)";

run::Voter Person(const std::string& name) { return {name, {"user:" + name}}; }

// What stands in the inbox, by number.
ports::TaskRow TaskOf(Bench& bench, uint64_t number) {
  const auto row = bench.disk.GetTask("local", number);
  REQUIRE_MESSAGE(row.ok(), row.status().message());
  return *row;
}

struct Answer {
  run::Verdict verdict = run::Verdict::kApprove;
  std::string by = "ada", comment, payload, digest;
};

absl::Status Decide(Bench& bench, uint64_t number, const Answer& answer) {
  const ports::TaskRow row = TaskOf(bench, number);
  run::DecideTask wish{.path = row.path,
                       .task = number,
                       .verdict = answer.verdict,
                       .digest = answer.digest.empty() ? row.digest : answer.digest,
                       .comment = answer.comment,
                       .voter = Person(answer.by)};
  if (!answer.payload.empty()) wish.payload = run::Value::Json(answer.payload);
  absl::Status status = absl::UnknownError("no answer");
  bench.engine->Intervene(row.run, "uid:2", std::move(wish),
                          [&](const absl::Status& s) { status = s; });
  bench.Settle();
  return status;
}

}  // namespace

TEST_CASE("a run that asks is not in memory, survives a crash, and goes on when it is answered") {
  Bench bench;
  const run::RunId id = bench.Run(kArticle);
  bench.executor->Succeed("draft", R"("one")");
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  CHECK(bench.engine->runs_in_memory() == 0);
  CHECK(TaskOf(bench, 1).title == "Publish one?");
  bench.Crash();
  CHECK(bench.engine->runs_in_memory() == 0);
  CHECK(Decide(bench, 1, {}).ok());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "publish") == R"({"by":"ada","text":"one"})");
  CHECK(TaskOf(bench, 1).state == ports::TaskState::kApproved);
}

TEST_CASE("changes run the step again with feedback, another key and the next attempt") {
  Bench bench;
  const run::RunId id = bench.Run(kArticle);
  bench.executor->Succeed("draft", R"("one")");
  bench.Settle();
  const std::string first = TaskOf(bench, 1).digest;
  CHECK(Decide(bench, 1, {run::Verdict::kRequestChanges, "ada", "cite a source"}).ok());
  CHECK(TaskOf(bench, 1).state == ports::TaskState::kRevising);
  bench.Crash();  // the attempt of the second round was under way
  bench.Settle();
  const ports::Attempt& again = bench.executor->started.back();
  CHECK(again.path == "draft");
  CHECK(again.attempt == 3);
  CHECK(again.idempotency_key == id.ToString() + "/draft~2");
  CHECK(again.input.find("cite a source") != std::string::npos);
  bench.executor->Succeed("draft", R"("two")");
  bench.Settle();
  CHECK(TaskOf(bench, 1).round == 2);
  CHECK(TaskOf(bench, 1).digest != first);
  CHECK(absl::IsAborted(Decide(bench, 1, {.digest = first})));
  CHECK(Decide(bench, 1, {}).ok());
  CHECK(bench.Output(id, "publish") == R"({"by":"ada","text":"two"})");
}

TEST_CASE("silence is a no, in time and never early, also across a restart") {
  Bench bench;
  const run::RunId id = bench.Run(kArticle);
  bench.executor->Succeed("draft", R"("one")");
  bench.Settle();
  bench.Pass(absl::Minutes(30));
  bench.Crash();
  bench.Pass(absl::Minutes(30) - absl::Milliseconds(1));
  CHECK(TaskOf(bench, 1).state == ports::TaskState::kOpen);
  bench.Pass(absl::Milliseconds(1));
  CHECK(TaskOf(bench, 1).state == ports::TaskState::kExpired);
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
}

TEST_CASE("what is filled in is reshaped like any output") {
  Bench bench;
  const run::RunId id = bench.Run(kForm);
  CHECK(absl::IsInvalidArgument(Decide(bench, 1, {})));
  CHECK(absl::IsInvalidArgument(Decide(bench, 1, {.payload = R"({"cents":"many"})"})));
  CHECK(Decide(bench, 1, {.verdict = run::Verdict::kRespond, .payload = R"({"cents":5})"}).ok());
  CHECK(bench.Output(id, "pay") == R"({"cents":5})");
}

TEST_CASE("numbers go on after a crash, and are not given to two tasks") {
  Bench bench;
  bench.Run(kForm);
  bench.Run(kForm);
  bench.Crash();
  bench.Run(kForm);
  CHECK(TaskOf(bench, 3).state == ports::TaskState::kOpen);
  CHECK(*bench.disk.LastTask() == 3);
}

TEST_CASE("a decision that was lost in a crash can be given again, and counts once") {
  Bench bench;
  const run::RunId id = bench.Run(kForm);
  const Answer answer{.verdict = run::Verdict::kRespond, .payload = R"({"cents":5})"};
  const std::string digest = TaskOf(bench, 1).digest;
  CHECK(Decide(bench, 1, answer).ok());
  bench.Crash();
  // The run is over: the engine knows the task no more, and its log has the answer.
  CHECK(absl::IsNotFound(Decide(bench, 1, {answer.verdict, "ada", "", answer.payload, digest})));
  int decisions = 0;
  for (const run::Event& event : bench.Log(id)) {
    decisions += std::holds_alternative<run::TaskDecided>(event.fact) ? 1 : 0;
  }
  CHECK(decisions == 1);
}

TEST_CASE("values that people cannot be asked with fail the step and ask nobody") {
  Bench bench;
  const run::RunId id = bench.Run(R"(beamline: flow/v1
name: bad
inputs: {who: {type: string, default: eve}}
steps:
  - {id: ask, approve: {title: ok, approvers: ['${{ inputs.who }}']}}
)");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
  CHECK(*bench.disk.LastTask() == 0);
}

TEST_CASE("an artifact that is shown stands there by its content") {
  Bench bench;
  const run::RunId id = bench.Run(R"(beamline: flow/v1
name: files
steps:
  - {id: build, run: ./build, artifacts: {report: out.txt}}
  - {id: ask, approve: {title: ok, show: {artifact: build/report}}}
  - {id: more, approve: {title: ok, show: {artifact: build/nothing}}}
)");
  run::ReportAttempt report{.path = "build"};
  const std::string sha256(64, 'a');
  report.artifacts = {{"report", "out.txt", sha256, 12}};
  bench.executor->Finish("build", report);
  bench.Settle();
  CHECK(bench.StatusOf(id) == ports::RunStatus::kWaiting);
  const auto opened = bench.disk.Read(id, TaskOf(bench, 1).seq - 1, 1);
  REQUIRE(opened.ok());
  CHECK(std::get<run::TaskOpened>(opened->front().fact).show.json() ==
        R"({"artifact":"build/report","sha256":")" + sha256 + R"(","bytes":12})");
  CHECK(Decide(bench, 1, {}).ok());
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);  // there is no such artifact
}

}  // namespace beamline::engine
