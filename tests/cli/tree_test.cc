// The tree, line by line.
#include "cli/tree.h"

#include <doctest/doctest.h>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/text.h"
#include "run_events.h"

namespace beamline::cli {
namespace {

v1::TailOutputResponse Chunk(const std::string& path, const std::string& data) {
  v1::TailOutputResponse chunk;
  chunk.set_path(path);
  chunk.set_attempt(1);
  chunk.set_stream(v1::OUTPUT_STREAM_STDOUT);
  chunk.set_data(data);
  return chunk;
}

std::string Draw(const RunEvents& events, TreeOptions options, const OutputTail* tail = nullptr) {
  const proto::RunView view = events.View();
  if (options.now == absl::Time()) {
    options.now = absl::FromUnixSeconds(RunEvents::kStart) + absl::Seconds(72);
  }
  return "\n" + absl::StrJoin(RenderTree(view, tail, options), "\n") + "\n";
}

// The picture of the reference manual: a foreach at work.
RunEvents Enrich() {
  RunEvents events;
  events.Start("enrich", {{.id = "list"},
                          {.id = "enrich",
                           .kind = "worker",
                           .needs = {"list"},
                           .foreach = true,
                           .as = "row",
                           .retry_max = 5},
                          {.id = "load", .needs = {"enrich"}},
                          {.id = "notify", .section = v1::SECTION_FINALLY}});
  events.Attempt("list").After(800).Succeeded("list").After(200);
  events.Foreach("enrich", "", 10);
  for (int i = 0; i < 8; ++i) events.Attempt("enrich[" + std::to_string(i) + "]");
  for (int i = 0; i < 5; ++i) events.Succeeded("enrich[" + std::to_string(i) + "]");
  return events.Failed("enrich[5]", 3)
      .After(69'000)
      .FailedForNow("enrich[6]", 75)
      .Retry("enrich[6]", 2, 3900);
}

TEST_CASE("a run at work") {
  CHECK(Draw(Enrich(), {.width = 72, .live = true}) == R"(
enrich  k3v9qz  1m12s                               ^C cancel · d detach
✔ list        0.8s
● enrich     1m11s  █████░░░░ 6/10  1 live  1 retry  1 ✖
  ├─ ↻ row 6  try 2/5  exit 75 · next 1.9s
  └─ ✖ row 5  exit 3
◌ load              waits: enrich
)");
}

TEST_CASE("without UTF-8") {
  CHECK(Draw(Enrich(), {.width = 72, .utf8 = false, .live = true}) == R"(
enrich  k3v9qz  1m12s                               ^C cancel - d detach
+ list        0.8s
* enrich     1m11s  #####---- 6/10  1 live  1 retry  1 x
  |- ~ row 6  try 2/5  exit 75 - next 1.9s
  `- x row 5  exit 3
. load              waits: enrich
)");
}

TEST_CASE("no line is wider than the terminal") {
  CHECK(Draw(Enrich(), {.width = 30, .live = true}) == R"(
enrich  k3v9qz  1m12s
✔ list        0.8s
● enrich     1m11s  █████░░░░…
  ├─ ↻ row 6  try 2/5  exit 7…
  └─ ✖ row 5  exit 3
◌ load              waits: en…
)");
}

TEST_CASE("a low terminal loses what matters least") {
  CHECK(Draw(Enrich(), {.width = 72, .height = 4, .live = true}) == R"(
enrich  k3v9qz  1m12s                               ^C cancel · d detach
● enrich     1m11s  █████░░░░ 6/10  1 live  1 retry  1 ✖
◌ load              waits: enrich
… 1 done, 2 more
)");
}

TEST_CASE("a short run shows what its steps print") {
  OutputTail tail;
  tail.Add(Chunk("greet", "hello "));
  tail.Add(Chunk("greet", "world\n"));
  RunEvents events;
  events.Start("hello", {{.id = "greet"}}).Attempt("greet").After(35).Succeeded("greet");
  events.Finish(v1::STATUS_SUCCEEDED);
  CHECK(Draw(events, {}, &tail) == R"(
✔ hello  k3v9qz  succeeded in 35ms
✔ greet       35ms
  │ hello world
)");
}

// What 14 lines and an artifact come to, in a step that another one waits for and in a last one.
TEST_CASE("a last step shows what it printed, one before it how much that was") {
  OutputTail tail;
  for (const char* path : {"list", "report"}) {
    for (int i = 1; i <= 30; ++i) tail.Add(Chunk(path, "line " + std::to_string(i) + "\n"));
  }
  RunEvents events;
  events.Start("licenses", {{.id = "list"}, {.id = "report", .needs = {"list"}}});
  events.Attempt("list").After(35).Succeeded("list").Attempt("report").After(35);
  events.Succeeded("report").Artifact("report", 959).Finish(v1::STATUS_SUCCEEDED);
  const std::string picture = Draw(events, {}, &tail);
  CHECK(picture.starts_with(R"(
✔ licenses  k3v9qz  succeeded in 70ms
✔ list        35ms  30 lines
✔ report      35ms  artifact report (959 B)
  │ … 6 lines above
  │ line 7
)"));
  CHECK(picture.ends_with("line 30\n"));
}

TEST_CASE("the full tree tells every item and how long it took") {
  RunEvents events;
  events.Start("f", {{.id = "each", .foreach = true, .as = "file"}});
  events.Foreach("each", R"(["a.txt","b"])", 2).Attempt("each[0]").Attempt("each[1]").After(1500);
  events.Succeeded("each[0]").Failed("each[1]", 2).Ended("each", v1::STATUS_SUCCEEDED);
  CHECK(Draw(events.Finish(v1::STATUS_SUCCEEDED), {.full = true}) == R"(
✔ f  k3v9qz  succeeded in 1.5s
✔ each        1.5s  2/2  1 ✖
  ├─ ✔ file a.txt    1.5s
  └─ ✖ file b        1.5s  exit 2
)");
}

TEST_CASE("sizes in a few characters") {
  CHECK(ShortBytes(959) == "959 B");
  CHECK(ShortBytes(1234) == "1.2 kB");
  CHECK(ShortBytes(999'600) == "1.0 MB");
  CHECK(ShortBytes(34'000'000) == "34 MB");
}

TEST_CASE("a container is folded once it is done, and open while it is not") {
  RunEvents events;
  events.Start("ci", {{.id = "build", .kind = "do"},
                      {.id = "compile", .parent = 0},
                      {.id = "link", .parent = 0, .needs = {"compile"}}});
  events.StepStarted("build").Attempt("build/compile").After(2000).Succeeded("build/compile");
  events.Attempt("build/link");
  TreeOptions options{.live = true};
  options.now = absl::FromUnixSeconds(RunEvents::kStart) + absl::Seconds(3);
  options.width = 40;
  CHECK(Draw(events, options) == R"(
ci  k3v9qz  3.0s    ^C cancel · d detach
● build           3.0s
  ├─ ✔ compile    2.0s
  └─ ● link       1.0s
)");
  events.After(1000).Succeeded("build/link").Ended("build", v1::STATUS_SUCCEEDED);
  options.live = false;
  CHECK(Draw(events.Finish(v1::STATUS_SUCCEEDED), options) == R"(
✔ ci  k3v9qz  succeeded in 3.0s
✔ build       3.0s
)");
}

TEST_CASE("failures, skips and what did not start are told") {
  OutputTail tail;
  tail.Add(Chunk("test", "\033[31mboom\033[0m\n"));
  RunEvents events;
  events.Start("ci", {{.id = "test"}, {.id = "publish", .needs = {"test"}}, {.id = "sign"}});
  events.Attempt("test").After(1500).Failed("test", 2);
  events.Skipped("publish", "needs `test` to succeed").Finish(v1::STATUS_FAILED);
  CHECK(Draw(events, {}, &tail) == R"(
✖ ci  k3v9qz  failed in 1.5s
✖ test        1.5s  exit 2
  │ boom
⊘ publish           needs `test` to succeed
◌ sign              did not start
)");
}

TEST_CASE("colours surround text and count as nothing") {
  RunEvents events;
  events.Start("f", {{.id = "a"}}).Attempt("a").After(1000).Succeeded("a");
  const std::string picture = Draw(events.Finish(v1::STATUS_SUCCEEDED), {.color = true});
  CHECK(absl::StrReplaceAll(picture, {{"\033", "^"}}) ==
        "\n^[32m✔^[0m ^[1mf^[0m  k3v9qz  succeeded in 1.0s\n^[32m✔^[0m a           1.0s\n");
}

TEST_CASE("short ids are ends") {
  CHECK(ShortId(RunEvents::kId) == "k3v9qz");
  CHECK(ShortId("abc") == "abc");
}

TEST_CASE("escape sequences of steps do not reach the terminal") {
  CHECK(StripEscapes("\033[1;31mred\033[0m \033]0;title\atext\033]8;;x\033\\y") == "red texty");
  CHECK(StripEscapes("cut \033[") == "cut ");
}

TEST_CASE("lines are put together from pieces, each stream for itself") {
  LineSplitter splitter;
  CHECK(splitter.Add("a\nb").size() == 1);
  CHECK(splitter.Add("c\r\nd\re") == std::vector<std::string>{"bc", "d"});
  CHECK(splitter.Rest() == "e");
  CHECK(splitter.Add(std::string(5000, 'x')).size() == 1);  // no line break ever
}

TEST_CASE("the tail keeps the last lines of the last attempt") {
  OutputTail tail;
  for (int i = 0; i < 30; ++i) tail.Add(Chunk("a", std::to_string(i) + "\n"));
  CHECK(tail.Last("a", 2) == std::vector<std::string>{"28", "29"});
  v1::TailOutputResponse again = Chunk("a", "second try");
  again.set_attempt(2);
  tail.Add(again);
  CHECK(tail.Last("a", 5) == std::vector<std::string>{"second try"});
}

}  // namespace
}  // namespace beamline::cli
