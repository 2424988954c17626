// The fold of wire events to the run that people see.
#include "proto/run_view.h"

#include <doctest/doctest.h>

#include "run_events.h"

namespace beamline::cli {
namespace {

using proto::RunView;
using proto::StatusWord;

std::string StatusOf(const RunView& view) { return StatusWord(view.run().status()); }

TEST_CASE("steps are there from the start, children below their parents") {
  RunView view = RunEvents()
                     .Start("article", {{.id = "draft", .kind = "do"},
                                        {.id = "write", .parent = 0},
                                        {.id = "critic", .parent = 0, .needs = {"write"}},
                                        {.id = "publish", .needs = {"draft"}},
                                        {.id = "notify", .section = v1::SECTION_FINALLY}})
                     .View();
  const v1::Run& run = view.run();
  CHECK(run.id() == RunEvents::kId);
  CHECK(run.flow() == "article");
  REQUIRE(run.steps_size() == 3);
  REQUIRE(run.steps(0).steps_size() == 2);
  CHECK(run.steps(0).steps(1).path() == "draft/critic");
  CHECK(run.steps(0).steps(1).needs(0) == "write");
  CHECK(run.steps(2).section() == v1::SECTION_FINALLY);
  CHECK(StatusWord(run.steps(1).status()) == std::string("pending"));
}

TEST_CASE("a step that is retried keeps both attempts and waits in between") {
  RunEvents events;
  events.Start("f", {{.id = "a"}}).Attempt("a").After(100).FailedForNow("a", 75).Retry("a", 2, 900);
  RunView waiting = events.View();
  const v1::Step& a = waiting.run().steps(0);
  CHECK(a.status() == v1::STATUS_RUNNING);
  CHECK(a.retry_at().seconds() == RunEvents::kStart + 1);
  CHECK(StatusOf(waiting) == "running");  // nobody has to do anything

  RunView done = events.After(900).Attempt("a", 2).Succeeded("a", "7", 2).View();
  const v1::Step& b = done.run().steps(0);
  CHECK(b.status() == v1::STATUS_SUCCEEDED);
  CHECK_FALSE(b.has_retry_at());
  CHECK_FALSE(b.has_failure());
  CHECK(b.output().json() == "7");
  REQUIRE(b.attempts_size() == 2);
  CHECK(b.attempts(0).failure().exit_code() == 75);
  CHECK(b.attempts(1).outcome() == v1::OUTCOME_SUCCEEDED);
}

TEST_CASE("items of a foreach stand in item order under their keys") {
  RunView view = RunEvents()
                     .Start("enrich", {{.id = "enrich", .kind = "do", .foreach = true},
                                       {.id = "load", .parent = 0}})
                     .Foreach("enrich", R"(["r-1","r-2","r-3"])", 3)
                     .StepStarted("enrich[1]")
                     .StepStarted("enrich[0]")
                     .Attempt("enrich[1]/load")
                     .Succeeded("enrich[1]/load")
                     .Ended("enrich[1]", v1::STATUS_SUCCEEDED, "{}")
                     .View();
  const v1::Step& step = view.run().steps(0);
  CHECK(step.item_count() == 3);
  REQUIRE(step.items_size() == 2);
  CHECK(step.items(0).key() == "r-1");
  CHECK(step.items(1).key() == "r-2");
  CHECK(step.items(1).status() == v1::STATUS_SUCCEEDED);
  CHECK(step.items(1).steps(0).path() == "enrich[1]/load");
  CHECK(step.items(1).steps(0).status() == v1::STATUS_SUCCEEDED);
  CHECK(step.items(0).steps(0).status() == v1::STATUS_PENDING);
}

TEST_CASE("items are counted, and the worst are found first") {
  RunView view = RunEvents()
                     .Start("f", {{.id = "each", .foreach = true}})
                     .Foreach("each", "", 5)
                     .Attempt("each[0]")
                     .Attempt("each[1]")
                     .Attempt("each[2]")
                     .Attempt("each[3]")
                     .Succeeded("each[0]")
                     .Failed("each[1]", 1)
                     .FailedForNow("each[2]", 1)
                     .Retry("each[2]", 2, 1000)
                     .View();
  const v1::Step& step = view.run().steps(0);
  const RunView::ItemCounts counts = view.CountItems(step);
  CHECK(counts.succeeded == 1);
  CHECK(counts.failed == 1);
  CHECK(counts.retrying == 1);
  CHECK(counts.running == 1);
  const auto notable = view.NotableItems(step, 10);
  REQUIRE(notable.size() == 2);
  CHECK(notable[0]->key() == "2");
  CHECK(notable[1]->key() == "1");
  CHECK(view.NotableItems(step, 1).size() == 1);
}

TEST_CASE("a run waits once something is parked and nothing else can go on") {
  RunEvents events;
  events.Start("f", {{.id = "charge"}, {.id = "ship", .needs = {"charge"}}, {.id = "log"}})
      .Attempt("charge")
      .Attempt("log")
      .FailedForNow("charge", 1)
      .Parked("charge", "outcome unknown");
  CHECK(StatusOf(events.View()) == "running");  // log goes on
  events.Succeeded("log");
  RunView waiting = events.View();
  CHECK(StatusOf(waiting) == "waiting");
  CHECK(waiting.run().steps(0).reason() == "outcome unknown");
  events.Attempt("charge", 2);
  CHECK(StatusOf(events.View()) == "running");
}

TEST_CASE("a run does not wait while a step is ready to begin") {
  RunEvents events;
  events.Start("f", {{.id = "charge"}, {.id = "a"}, {.id = "b", .needs = {"a"}}})
      .Attempt("charge")
      .Attempt("a")
      .FailedForNow("charge", 1)
      .Parked("charge", "unknown")
      .Succeeded("a");
  CHECK(StatusOf(events.View()) == "running");  // b is about to begin
  events.Attempt("b").Succeeded("b");
  CHECK(StatusOf(events.View()) == "waiting");
}

TEST_CASE("a stop is shown until the run is over") {
  RunEvents events;
  events.Start("f", {{.id = "a"}}).Attempt("a").Stop("no longer needed");
  CHECK(events.View().run().stop().message() == "no longer needed");
  RunView over = events.Finish(v1::STATUS_CANCELLED).View();
  CHECK_FALSE(over.run().has_stop());
  CHECK(over.finished());
  CHECK(StatusOf(over) == "cancelled");
}

TEST_CASE("events that do not fit change nothing") {
  RunView view = RunEvents()
                     .Start("f", {{.id = "a"}})
                     .Attempt("b")
                     .Attempt("a[3]")
                     .Attempt("a/x")
                     .Attempt("a[")
                     .Attempt("")
                     .Foreach("a", "", 2)
                     .Attempt("a[2]")
                     .Attempt("a[-1]")
                     .Attempt("a[1]x")
                     .View();
  CHECK(view.run().steps_size() == 1);
  CHECK(view.run().steps(0).attempts_size() == 0);
  CHECK(view.run().steps(0).items_size() == 0);
  CHECK(view.run().last_seq() == 10);
}

TEST_CASE("an event that is seen twice counts once") {
  RunEvents events;
  events.Start("f", {{.id = "a"}}).Attempt("a");
  RunView view = events.View();
  view.Apply(events.events().back());
  CHECK(view.run().steps(0).attempts_size() == 1);
}

TEST_CASE("keys that lie in a blob are read from there") {
  v1::ExecutionEvent started = RunEvents().Start("f", {{.id = "e", .foreach = true}}).events()[0];
  v1::ExecutionEvent foreach;
  foreach
    .set_seq(2);
  foreach
    .mutable_foreach_started()->set_path("e");
  foreach
    .mutable_foreach_started()->set_count(1);
  foreach
    .mutable_foreach_started()->mutable_keys()->mutable_blob()->set_blob_uri("blob:x");
  v1::ExecutionEvent attempt;
  attempt.set_seq(3);
  attempt.mutable_attempt_started()->set_path("e[0]");
  for (bool readable : {true, false}) {
    RunView view([&](const v1::Blob& blob) {
      return readable && blob.blob_uri() == "blob:x" ? std::string("[\"first\"]") : std::string();
    });
    for (const auto& event : {started, foreach, attempt}) view.Apply(event);
    CHECK(view.run().steps(0).items(0).key() == (readable ? "first" : "0"));
  }
}

TEST_CASE("a hundred thousand items fold quickly") {
  constexpr int kItems = 100'000;
  RunEvents events;
  events.Start("f", {{.id = "e", .foreach = true}}).Foreach("e", "", kItems);
  RunView view = events.View();
  v1::ExecutionEvent event;
  for (int i = 0; i < kItems; ++i) {
    const std::string path = "e[" + std::to_string(i) + "]";
    event.set_seq(3 + 2 * static_cast<uint64_t>(i));
    event.mutable_attempt_started()->set_path(path);
    view.Apply(event);
    event.set_seq(4 + 2 * static_cast<uint64_t>(i));
    event.mutable_attempt_finished()->set_path(path);
    event.mutable_attempt_finished()->set_step_status(v1::STATUS_SUCCEEDED);
    view.Apply(event);
    if (i % 1000 == 0) (void)view.run();
  }
  CHECK(view.CountItems(view.run().steps(0)).succeeded == kItems);
}

TEST_CASE("a step that asks waits for a person; one that is started over has not begun") {
  RunEvents events;
  events
      .Start("article", {{.id = "draft", .kind = "do", .foreach = true},
                         {.id = "write", .parent = 0},
                         {.id = "review", .kind = "approve", .needs = {"draft"}},
                         {.id = "publish", .needs = {"review"}}})
      .Foreach("draft", "[\"a\",\"b\"]", 2)
      .StepStarted("draft[0]")
      .Attempt("draft[0]/write")
      .Succeeded("draft[0]/write")
      .Ended("draft[0]", v1::STATUS_SUCCEEDED)
      .StepStarted("draft[1]")
      .Asked("draft[1]/write", 7)
      .Ended("draft", v1::STATUS_SUCCEEDED, "[1]")
      .Asked("review", 31);
  RunView asks = events.View();
  CHECK(StatusOf(asks) == "waiting");
  CHECK(asks.run().steps(1).task() == 31);
  CHECK(asks.run().steps(1).max_rounds() == 3);
  RunView again = events.Rewound("review", {"draft", "review"}).View();
  CHECK(StatusOf(again) == "running");
  const v1::Step& draft = again.run().steps(0);
  CHECK(draft.status() == v1::STATUS_PENDING);
  CHECK(!draft.has_output());
  CHECK(draft.items_size() == 0);
  CHECK(again.run().steps(1).status() == v1::STATUS_PENDING);
  RunView second = events.Foreach("draft", "", 0)
                       .Ended("draft", v1::STATUS_SUCCEEDED)
                       .Asked("review", 31, 2)
                       .View();
  CHECK(StatusOf(second) == "waiting");
  CHECK(second.run().steps(1).round() == 2);
}

}  // namespace
}  // namespace beamline::cli
