// Sub-flows, signals between runs, turns, keys and the cache.
#include <doctest/doctest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

const char kChild[] = R"(beamline: flow/v1
name: child
inputs: {n: {type: number}}
outputs: {twice: '${{ steps.work.output.n * 2 }}'}
steps:
  - id: work
    run: ./work
)";

const char kParent[] = R"(beamline: flow/v1
name: parent
steps:
  - id: sub
    flow: {uses: ./child.flow.yaml, inputs: {n: 4}}
  - id: after
    set: {got: '${{ steps.sub.output.twice }}'}
)";

run::RunId ChildOf(Bench& bench, const std::string& flow) {
  ports::RunQuery query;
  query.flow_name = flow;
  const auto rows = bench.disk.ListRuns(query);
  REQUIRE(rows.ok());
  REQUIRE(!rows->empty());
  return rows->front().id;
}

std::string OneStep(const std::string& top, const std::string& step) {
  return "beamline: flow/v1\nname: one\ninputs: {k: {type: string, default: a}, other: {type: "
         "number, default: 0}}\n" +
         top + "steps:\n  - id: a\n    run: 'true'\n" + step;
}

}  // namespace

TEST_CASE("a sub-flow is a run of its own whose outputs are the step's") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId parent = bench.Run(kParent);
  const run::RunId child = ChildOf(bench, "child");
  CHECK(bench.executor->started.size() == 1);
  bench.executor->Succeed("work", R"({"n":4})");
  bench.Settle();
  CHECK(bench.StatusOf(child) == ports::RunStatus::kSucceeded);
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(parent, "after") == R"({"got":8})");
}

TEST_CASE("a sub-flow that fails fails its step; one that is not there says so") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId parent = bench.Run(kParent);
  bench.executor->Fail("work", {"exit", "exit status 3", 3});
  bench.Settle();
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kFailed);
  CHECK(absl::StrContains(bench.History(parent).back(), "exit status 3"));
  bench.files.clear();
  const run::RunId lost = bench.Run(kParent);
  CHECK(absl::StrContains(bench.History(lost).back(), "did not come with the flow"));
}

TEST_CASE("a sub-flow that takes too long is stopped, and tried again as another run") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId parent = bench.Run(
      "beamline: flow/v1\nname: parent\nsteps:\n"
      "  - {id: sub, timeout: 1m, retry: {max: 2, initial: 1s, jitter: none}, "
      "flow: {uses: ./child.flow.yaml, inputs: {n: 4}}}\n");
  const run::RunId first = ChildOf(bench, "child");
  bench.Pass(absl::Seconds(59));
  CHECK(bench.executor->stops.empty());
  bench.Pass(absl::Seconds(1));
  CHECK(bench.executor->stops == std::vector<std::string>{"work#1 cancel"});
  run::ReportAttempt stopped;
  stopped.outcome = run::Outcome::kStopped;
  bench.executor->Finish("work", stopped);
  bench.Settle();
  CHECK(bench.StatusOf(first) == ports::RunStatus::kCancelled);
  const std::string history = absl::StrJoin(bench.History(parent), "\n");
  CAPTURE(history);
  CHECK(absl::StrContains(history, "timed out after 1m"));
  bench.Pass(absl::Seconds(1));
  const run::RunId second = ChildOf(bench, "child");
  CHECK(second != first);
  bench.executor->Succeed("work", R"({"n":4})");
  bench.Settle();
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kSucceeded);
  bench.Pass(absl::Minutes(1));  // the timer of what is over says nothing
  CHECK(bench.StatusOf(second) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a sub-flow's time goes on while the daemon is away") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId parent = bench.Run(
      "beamline: flow/v1\nname: parent\nsteps:\n"
      "  - {id: sub, timeout: 1m, flow: {uses: ./child.flow.yaml, inputs: {n: 4}}}\n");
  bench.Pass(absl::Seconds(40));
  bench.Crash();
  bench.Settle();
  bench.Pass(absl::Seconds(19));
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kRunning);
  bench.Pass(absl::Seconds(1));
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kFailed);
  CHECK(absl::StrContains(bench.History(parent).back(), "timed out after 1m"));
}

TEST_CASE("cancelling a run cancels what it runs below it") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId parent = bench.Run(kParent);
  const run::RunId child = ChildOf(bench, "child");
  bench.engine->CancelRun(parent, "uid:1", "enough", false, {});
  bench.Settle();
  CHECK(bench.executor->stops == std::vector<std::string>{"work#1 cancel"});
  run::ReportAttempt stopped;
  stopped.outcome = run::Outcome::kStopped;
  bench.executor->Finish("work", stopped);
  bench.Settle();
  CHECK(bench.StatusOf(child) == ports::RunStatus::kCancelled);
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kCancelled);
}

TEST_CASE("after a crash a sub-flow goes on as the same run, and its end is heard") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId parent = bench.Run(kParent);
  bench.Crash();
  bench.Settle();
  CHECK(bench.disk.ListRuns({}).value().size() == 2);
  bench.executor->Succeed("work", R"({"n":1})");
  bench.Settle();
  CHECK(bench.StatusOf(parent) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a flow that runs itself ends at the bound of depth") {
  Bench bench;
  const std::string self =
      "beamline: flow/v1\nname: self\nsteps:\n  - id: again\n    flow: {uses: ./self.flow.yaml}\n";
  bench.files = {{"self.flow.yaml", self}};
  const run::RunId id = bench.Run(self);
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
  CHECK(bench.disk.ListRuns({}).value().size() == 17);
}

TEST_CASE("a detached sub-flow is not waited for") {
  Bench bench;
  bench.files = {{"child.flow.yaml", kChild}};
  const run::RunId id = bench.Run(
      "beamline: flow/v1\nname: p\nsteps:\n"
      "  - {id: sub, flow: {uses: ./child.flow.yaml, inputs: {n: 1}, mode: detach}}\n");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "sub") == "{\"run\":\"" + ChildOf(bench, "child").ToString() + "\"}");
}

TEST_CASE("a signal step reaches the run that has the key") {
  Bench bench;
  const run::RunId waits = bench.Run(
      "beamline: flow/v1\nname: waits\nidempotency: {key: order-7}\nsteps:\n"
      "  - {id: paid, wait: {signal: {name: paid}}}\n");
  const run::RunId sends = bench.Run(
      "beamline: flow/v1\nname: sends\nsteps:\n"
      "  - {id: tell, signal: {key: order-7, name: paid, payload: {by: card}}}\n");
  CHECK(bench.Output(sends, "tell") == "{\"runs\":[\"" + waits.ToString() + "\"]}");
  CHECK(bench.StatusOf(waits) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(waits, "paid") == R"({"by":"card"})");
  const run::RunId late = bench.Run(
      "beamline: flow/v1\nname: sends\nsteps:\n"
      "  - {id: tell, signal: {key: order-8, name: paid}}\n");
  CHECK(absl::StrContains(bench.History(late).back(), "no run has the idempotency key"));
}

TEST_CASE("runs of one concurrency key take turns, over a crash too") {
  Bench bench;
  const std::string flow = OneStep("concurrency: {key: '${{ inputs.k }}'}\n", "");
  const run::RunId first = bench.Run(flow);
  const run::RunId second = bench.Run(flow);
  const run::RunId other = bench.Run(flow, R"({"k":"b"})");
  CHECK(bench.StatusOf(second) == ports::RunStatus::kPending);
  CHECK(bench.StatusOf(other) == ports::RunStatus::kRunning);
  bench.Crash();
  bench.Settle();
  CHECK(bench.StatusOf(second) == ports::RunStatus::kPending);
  bench.executor->SucceedOf(first, "a");
  bench.Settle();
  CHECK(bench.StatusOf(first) == ports::RunStatus::kSucceeded);
  CHECK(bench.StatusOf(second) == ports::RunStatus::kRunning);
}

TEST_CASE("a new run takes the turn of the oldest where the flow says so") {
  Bench bench;
  const std::string flow = OneStep("concurrency: {key: x, overflow: cancel_oldest}\n", "");
  const run::RunId first = bench.Run(flow);
  const run::RunId second = bench.Run(flow);
  CHECK(bench.executor->stops == std::vector<std::string>{"a#1 cancel"});
  run::ReportAttempt stopped;
  stopped.outcome = run::Outcome::kStopped;
  bench.executor->Finish("a", stopped);
  bench.Settle();
  CHECK(bench.StatusOf(first) == ports::RunStatus::kCancelled);
  CHECK(bench.StatusOf(second) == ports::RunStatus::kRunning);
}

TEST_CASE("a flow that does not queue refuses the run") {
  Bench bench;
  const std::string flow = OneStep("concurrency: {key: x, overflow: reject}\n", "");
  bench.Run(flow);
  bench.Begin(flow);
  bench.Settle();
  CHECK(absl::IsAborted(bench.starts.back().status()));
  CHECK(bench.disk.ListRuns({}).value().size() == 1);
}

TEST_CASE("an idempotency key gives one run for its window") {
  Bench bench;
  const std::string flow = OneStep("idempotency: {key: '${{ inputs.k }}', window: 1h}\n", "");
  bench.Begin(flow);
  bench.Begin(flow);  // at the same moment
  bench.Settle();
  const run::RunId first = bench.starts[0]->run;
  CHECK(bench.starts[1]->existing);
  CHECK(bench.starts[1]->run == first);
  bench.Crash();
  bench.Begin(flow);
  bench.Settle();
  bench.Begin(flow, R"({"other":1})");
  bench.Settle();
  CHECK(bench.starts[2]->run == first);
  CHECK(absl::IsAlreadyExists(bench.starts[3].status()));
  bench.Pass(absl::Hours(1));
  bench.Begin(flow);
  bench.Settle();
  CHECK(!bench.starts[4]->existing);
}

TEST_CASE("a flow may refuse a second run with its key") {
  Bench bench;
  const std::string flow = OneStep("idempotency: {key: k, conflict: reject}\n", "");
  bench.Begin(flow);
  bench.Settle();
  bench.Begin(flow);
  bench.Settle();
  CHECK(absl::IsFailedPrecondition(bench.starts.back().status()));
}

TEST_CASE("a limited step runs so many at a time over all runs") {
  Bench bench;
  const std::string flow = OneStep("", "    concurrency: {key: db, limit: 1}\n");
  const run::RunId first = bench.Run(flow);
  const run::RunId second = bench.Run(flow);
  CHECK(bench.executor->started.size() == 1);
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(bench.StatusOf(first) == ports::RunStatus::kSucceeded);
  CHECK(bench.executor->started.size() == 2);
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(bench.StatusOf(second) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a step that waits for its turn can be cancelled, and lets the next one go") {
  Bench bench;
  const std::string flow = OneStep("", "    concurrency: {key: db, limit: 1}\n");
  bench.Run(flow);
  const run::RunId second = bench.Run(flow);
  const run::RunId third = bench.Run(flow);
  bench.engine->CancelRun(second, "uid:1", "enough", false, {});
  bench.Settle();
  CHECK(bench.StatusOf(second) == ports::RunStatus::kCancelled);
  bench.executor->Succeed("a");
  bench.Settle();
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(bench.StatusOf(third) == ports::RunStatus::kSucceeded);
}

// "a waits for beta: 1 ahead" of each wait; runs by their place in `runs`.
std::vector<std::string> TurnsOf(Bench& bench, const std::vector<run::RunId>& runs, size_t who) {
  std::vector<std::string> lines;
  const ports::RunRow row = *bench.disk.GetRun(runs[who]);
  bench.engine->LookAtTurns(row.id, row.tenant, row.turn, [&](const std::vector<TurnWait>& waits) {
    for (const TurnWait& wait : waits) {
      std::string line = absl::StrCat(wait.path, " ", wait.key, " held by");
      for (const TurnWait::Holder& holder : wait.holders) {
        const auto at = std::find(runs.begin(), runs.end(), holder.run) - runs.begin();
        absl::StrAppend(&line, " ", at, "/", holder.path);
      }
      lines.push_back(absl::StrCat(line, ", ", wait.ahead, " ahead"));
    }
  });
  bench.Settle();
  return lines;
}

TEST_CASE("who waits for a turn can be told who has it, and how many come before") {
  using Lines = std::vector<std::string>;
  Bench bench;
  std::string flow = OneStep("", "    concurrency: {key: db, limit: 1}\n");
  std::vector<run::RunId> runs = {bench.Run(flow), bench.Run(flow), bench.Run(flow)};
  CHECK(TurnsOf(bench, runs, 0).empty());
  CHECK(TurnsOf(bench, runs, 1) == Lines{"a one/a/\"db\" held by 0/a, 0 ahead"});
  CHECK(TurnsOf(bench, runs, 2) == Lines{"a one/a/\"db\" held by 0/a, 1 ahead"});
  bench.executor->Succeed("a");
  bench.Settle();
  CHECK(TurnsOf(bench, runs, 2) == Lines{"a one/a/\"db\" held by 1/a, 0 ahead"});

  flow = OneStep("concurrency: {key: x}\n", "");
  runs = {bench.Run(flow), bench.Run(flow)};
  CHECK(TurnsOf(bench, runs, 1) == Lines{" one/x held by 0/, 0 ahead"});
  bench.Crash();
  bench.Settle();
  CHECK(TurnsOf(bench, runs, 1) == Lines{" one/x held by 0/, 0 ahead"});
}

TEST_CASE("a rehearsal has no idempotency key, and neither uses nor fills a cache") {
  Bench bench;
  const std::string flow = OneStep("idempotency: {key: k}\n", "    cache: {key: x}\n");
  bench.llm_answers = run::Value::Json(R"({"responses":{}})");
  const run::RunId rehearsal = bench.Run(flow);
  bench.executor->Succeed("a", R"({"n":1})");
  bench.Settle();
  bench.llm_answers = run::Value();
  const run::RunId real = bench.Run(flow);
  CHECK(real != rehearsal);
  REQUIRE(bench.executor->started.size() == 2);  // nothing was cached
  bench.executor->Succeed("a", R"({"n":2})");
  bench.Settle();
  bench.llm_answers = run::Value::Json(R"({"responses":{}})");
  CHECK(bench.Run(flow) != real);
  CHECK(bench.executor->started.size() == 3);  // although it is cached now
}

TEST_CASE("a cached output is taken over until it expires") {
  Bench bench;
  const std::string flow =
      OneStep("",
              "    cache: {key: '${{ inputs.k }}', ttl: 1h}\n  - {id: b, set: {x: '${{ "
              "steps.a.output.n }}'}}\n");
  const run::RunId first = bench.Run(flow);
  bench.executor->Succeed("a", R"({"n":1})");
  bench.Settle();
  const run::RunId second = bench.Run(flow);
  CHECK(bench.StatusOf(second) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(second, "b") == R"({"x":1})");
  CHECK(bench.executor->started.size() == 1);
  bench.Run(flow, R"({"k":"other"})");
  CHECK(bench.executor->started.size() == 2);
  bench.executor->Succeed("a");
  bench.Pass(absl::Hours(1));
  const run::RunId late = bench.Run(flow);
  CHECK(bench.executor->started.size() == 3);
  for (const run::Event& event : bench.Log(late)) {
    if (const auto* started = std::get_if<run::AttemptStarted>(&event.fact)) {
      CHECK(absl::StrContains(started->cache_miss, "expired"));
    }
  }
  CHECK(bench.StatusOf(first) == ports::RunStatus::kSucceeded);
}

TEST_CASE("a loop reads the round before; a matrix names its combinations") {
  Bench bench;
  const run::RunId id = bench.Run(R"(beamline: flow/v1
name: rounds
steps:
  - id: grow
    loop: {until: output.n >= 8, max: 10}
    set: {n: '${{ (loop.prev.n // 1) * 2 }}'}
  - id: build
    matrix: {cc: [gcc, clang], mode: [debug, release], exclude: [{cc: clang, mode: debug}], include: [{cc: icc}]}
    set: {name: '${{ matrix.cc }}'}
  - id: names
    set: {keys: '${{ [steps.build.items[].key] }}', n: '${{ steps.grow.output.n }}'}
)");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kSucceeded);
  CHECK(bench.Output(id, "names") ==
        R"({"keys":["gcc-debug","gcc-release","clang-release","icc"],"n":8})");
}

TEST_CASE("a compensation reads the output of what it undoes") {
  Bench bench;
  const run::RunId id = bench.Run(R"(beamline: flow/v1
name: trip
steps:
  - id: seats
    foreach: {items: '["12A","12B"]', as: seat, max_parallel: 1}
    set: {ticket: '${{ "t-" + seat }}'}
    compensate: {set: {void: '${{ steps.seats.output.ticket }}', seat: '${{ seat }}'}}
  - {id: pay, fail: {message: no money}}
)");
  CHECK(bench.StatusOf(id) == ports::RunStatus::kFailed);
  CHECK(bench.Output(id, "seats[1].compensate") == R"({"void":"t-12B","seat":"12B"})");
  CHECK(bench.Output(id, "seats[0].compensate") == R"({"void":"t-12A","seat":"12A"})");
}

}  // namespace beamline::engine
