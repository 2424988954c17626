// Progress where lines are only added: logs and CI systems.
#include "cli/progress.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "run_events.h"

namespace beamline::cli {
namespace {

v1::TailOutputResponse Chunk(const std::string& path, const std::string& data) {
  v1::TailOutputResponse chunk;
  chunk.set_path(path);
  chunk.set_stream(v1::OUTPUT_STREAM_STDOUT);
  chunk.set_data(data);
  return chunk;
}

// What `progress` writes for `events`, with `chunks` after the second event.
std::string Show(Progress& progress, StringWriter& writer, const RunEvents& events,
                 const std::vector<v1::TailOutputResponse>& chunks) {
  proto::RunView view;
  for (const v1::ExecutionEvent& event : events.events()) {
    view.Apply(event);
    progress.OnEvent(event, view);
    if (event.seq() != 2) continue;
    for (const v1::TailOutputResponse& chunk : chunks) progress.OnOutput(chunk);
  }
  progress.OnEnd(view);
  return "\n" + writer.text();
}

struct Fixture {
  Fixture() {
    setenv("LC_ALL", "C.UTF-8", 1);
    context.err.writer = &writer;
  }
  StringWriter writer;
  Context context;
};

TEST_CASE_FIXTURE(Fixture, "plain: output behind names, a line for each change") {
  RunEvents events;
  events.Start("hello", {{.id = "greet"}, {.id = "wave", .needs = {"greet"}}});
  events.Attempt("greet").After(100).FailedForNow("greet", 75).Retry("greet", 2, 1900);
  events.After(1900).Attempt("greet", 2).Succeeded("greet", "", 2);
  events.Skipped("wave", "its condition is false").Finish(v1::STATUS_SUCCEEDED);
  auto progress = MakePlainProgress(context);
  CHECK(
      Show(*progress, writer, events, {Chunk("greet", "hello\nwor"), Chunk("greet", "ld\nrest")}) ==
      R"(
● hello  run 01jjxqs8000000000000k3v9qz
greet | hello
greet | world
greet | rest
greet | ↻ exit 75  try 2 in 1.9s
greet | ✔ 2.0s  (2 tries)
wave  | ⊘ skipped: its condition is false
✔ hello succeeded in 2.0s
)");
}

TEST_CASE_FIXTURE(Fixture, "plain: a foreach tells failures, and tenths now and then") {
  RunEvents events;
  events.Start("f", {{.id = "e", .foreach = true, .retry_max = 3}}).Foreach("e", "", 20);
  for (int i = 0; i < 20; ++i) events.Attempt("e[" + std::to_string(i) + "]");
  for (int i = 0; i < 4; ++i) events.After(1000).Succeeded("e[" + std::to_string(i) + "]");
  events.Failed("e[4]", 1).FailedForNow("e[5]", 75).Retry("e[5]", 2, 100);
  events.Ended("e", v1::STATUS_SUCCEEDED);
  auto progress = MakePlainProgress(context);
  CHECK(Show(*progress, writer, events, {}) == R"(
● f  run 01jjxqs8000000000000k3v9qz
e | 2/20
e | 4/20
e[4] | ✖ 4.0s  exit 1
e[5] | ↻ exit 75  try 2/3 in 0.1s
e    | ✔ 4.0s  4/20
)");
}

TEST_CASE_FIXTURE(Fixture, "GitHub: a group for each step, an annotation for each failure") {
  unsetenv("GITHUB_STEP_SUMMARY");
  RunEvents events;
  events.Start("ci", {{.id = "test"}}).Attempt("test").After(1000).Failed("test", 2);
  events.Finish(v1::STATUS_FAILED);
  auto progress =
      MakeGithubProgress(context, {.file = "ci.flow.yaml", .line_of_step = {{"test", 7}}});
  std::string text =
      Show(*progress, writer, events, {Chunk("test", "::error::not for the runner")});
  const size_t token = text.find("::stop-commands::") + 17;
  const std::string stop = text.substr(token, 32);
  for (size_t at = 0; (at = text.find(stop)) != std::string::npos;) text.replace(at, 32, "T");
  CHECK(text == R"(
● ci  run 01jjxqs8000000000000k3v9qz
::group::✖ test  1.0s  exit 2
::stop-commands::T
::error::not for the runner
::T::
::endgroup::
::error file=ci.flow.yaml,line=7,title=test::1.0s  exit 2
✖ ci failed in 1.0s
)");
}

TEST_CASE_FIXTURE(Fixture, "jsonl: every event as it is") {
  RunEvents events;
  events.Start("f", {{.id = "a"}}).Attempt("a");
  auto progress = MakeProgress(ProgressKind::kJsonl, context, {});
  const std::string text = Show(*progress, writer, events, {});
  CHECK(text.find("{\"seq\":2,\"time\":\"2025-01-31T12:00:00.000Z\",\"type\":\"AttemptStarted\"") !=
        std::string::npos);
}

}  // namespace
}  // namespace beamline::cli
