// Runs as JSON, as JUnit XML, and in the sentences of `why`.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/junit.h"
#include "cli/run_json.h"
#include "cli/why.h"
#include "flowspec/parse.h"
#include "run_events.h"

namespace beamline::cli {
namespace {

RunEvents Failing() {
  RunEvents events;
  events.Start("ci", {{.id = "test"},
                      {.id = "publish", .needs = {"test"}},
                      {.id = "each", .needs = {}, .foreach = true},
                      {.id = "notify", .section = v1::SECTION_FINALLY}});
  events.Attempt("test").After(1500).Failed("test", 2).Skipped("publish", "test failed");
  events.Foreach("each", R"(["a","b"])", 2).Attempt("each[0]").Succeeded("each[0]", "{\"n\":1.0}");
  return events.Finish(v1::STATUS_FAILED);
}

TEST_CASE("JSON has the documented shape, and values keep their digits") {
  const std::string text = RunJson(Failing().View().run());
  CHECK(text.find("{\"n\":1.0}") != std::string::npos);
  const auto run = nlohmann::json::parse(text);
  CHECK(run["id"] == RunEvents::kId);
  CHECK(run["status"] == "failed");
  CHECK(run["inputs"]["who"] == "world");
  CHECK(run["started_at"] == "2025-01-31T12:00:00.000Z");
  CHECK(run["finished_at"] == "2025-01-31T12:00:01.500Z");
  CHECK_FALSE(run.contains("outputs"));
  const auto& test = run["steps"][0];
  CHECK(test["error"] == nlohmann::json::parse(R"({"kind":"exit","message":"","exit_code":2})"));
  CHECK(test["attempts"][0]["n"] == 1);
  CHECK(test["attempts"][0]["exit_code"] == 2);
  CHECK(test["attempts"][0]["idempotency_key"] == "run/test");
  CHECK(run["steps"][1]["reason"] == "test failed");
  CHECK(run["steps"][2]["items"][0]["key"] == "a");
  CHECK(run["steps"][2]["items"][0]["output"]["n"] == 1.0);
}

TEST_CASE("a value that is not inline is read, or stands as a reference") {
  v1::Value value;
  value.mutable_blob()->set_blob_uri("blob:sha256:00");
  value.mutable_blob()->set_sha256("00");
  value.mutable_blob()->set_bytes(70'000);
  CHECK(ValueJson(value) == R"({"blob_uri":"blob:sha256:00","sha256":"00","bytes":70000})");
  CHECK(ValueJson(value, [](const v1::Blob&) { return std::string("[1]"); }) == "[1]");
}

TEST_CASE("any bytes become valid JSON text") {
  const std::string nasty = std::string("\"\\\n\x01\xff\xc0\x80 \xed\xa0\x80 é\0", 15);
  const auto parsed = nlohmann::json::parse(QuoteJson(nasty), nullptr, false);
  REQUIRE(parsed.is_string());
  CHECK(parsed.get<std::string>().substr(0, 4) == std::string("\"\\\n\x01"));
}

TEST_CASE("every event is one line of valid JSON") {
  const RunEvents events = Failing();
  for (const v1::ExecutionEvent& event : events.events()) {
    const std::string line = EventJson(event);
    CHECK(line.find('\n') == std::string::npos);
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    REQUIRE(parsed.is_object());
    CHECK(parsed["seq"] == event.seq());
    CHECK_FALSE(parsed["type"].get<std::string>().empty());
  }
}

TEST_CASE("JUnit: one case per step or item") {
  CHECK(JunitXml(Failing().View().run()) ==
        R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
<testsuite name="ci" tests="3" failures="1" errors="0" skipped="1" time="1.500" timestamp="2025-01-31T12:00:00.000Z">
  <properties><property name="run" value="01jjxqs8000000000000k3v9qz"/></properties>
  <testcase classname="ci" name="test" time="1.500"><failure type="exit" message="exit 2"/></testcase>
  <testcase classname="ci" name="publish" time="0.000"><skipped message="test failed"/></testcase>
  <testcase classname="ci" name="each[a]" time="0.000"/>
</testsuite>
</testsuites>
)");
}

std::string Because(const RunEvents& events, const std::string& path) {
  const proto::RunView view = events.View();
  const absl::Time now = absl::FromUnixSeconds(RunEvents::kStart) + absl::Seconds(10);
  return absl::StrJoin(ExplainStep(view.run(), nullptr, path, now), "\n");
}

TEST_CASE("why: an edge that was not met") {
  CHECK(Because(Failing(), "publish") ==
        "`publish` was skipped: test failed\n"
        "it needs `test` to succeed: not met, `test` is failed");
}

TEST_CASE("why: a failure with its attempts") {
  CHECK(Because(Failing(), "test") ==
        "`test` has failed: exit 2\n"
        "attempt 1: failed after 1.5s, exit 2");
}

TEST_CASE("why: a step between two attempts") {
  RunEvents events;
  events.Start("f", {{.id = "a"}}).Attempt("a").After(1000).FailedForNow("a", 7);
  events.Retry("a", 2, 60'000);
  CHECK(Because(events, "a") ==
        "`a` has failed 1 time and waits for its next attempt\n"
        "attempt 1: failed after 1.0s, exit 7\n"
        "the next attempt starts in 51s\n"
        "every attempt carries the idempotency key `run/a`");
}

TEST_CASE("why: an edge to a failure that is tolerated is met") {
  const auto flow = flowspec::ParseFlow(R"(beamline: flow/v1
name: f
inputs: {go: {type: boolean, default: false}}
steps:
  - {id: a, on_error: continue, run: 'false'}
  - {id: b, if: inputs.go, run: 'true'}
)")
                        .flow;
  RunEvents events;
  events.Start("f", {{.id = "a"}, {.id = "b", .needs = {"a"}}}).Attempt("a").Failed("a", 1);
  events.Skipped("b", "`if: inputs.go` is false");
  const proto::RunView view = events.View();
  const auto lines = ExplainStep(view.run(), flow.get(), "b", absl::Now());
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].starts_with("it needs `a` to succeed: met, `a` is failed"));
  CHECK(lines[2] == "its condition is `inputs.go`");
}

TEST_CASE("why: a handler that has not begun") {
  RunEvents events;
  events.Start("f", {{.id = "a"}, {.id = "bye", .section = v1::SECTION_FINALLY}}).Attempt("a");
  CHECK(Because(events, "bye") ==
        "`bye` has not started\nit is in `finally`: it runs once all steps are over");
}

TEST_CASE("the JSON of a foreach carries each item's value") {
  RunEvents events;
  events.Start("f", {{.id = "e", .foreach = true}});
  events.Foreach("e", R"(["x","y"])", 2, R"([{"id":"x"},{"id":"y"}])").Attempt("e[1]");
  const std::string json = RunJson(events.View().run());
  CHECK(json.find(R"({"key":"y","index":1,"item":{"id":"y"},"status":"running")") !=
        std::string::npos);
}

TEST_CASE("why: steps are found by path or by an id that is unique") {
  RunEvents events;
  events.Start("f", {{.id = "a", .kind = "do"},
                     {.id = "x", .parent = 0},
                     {.id = "b", .kind = "do"},
                     {.id = "x", .parent = 2},
                     {.id = "y", .parent = 2}});
  const proto::RunView view = events.View();
  CHECK(PathOfStep(view.run(), "a/x") == "a/x");
  CHECK(PathOfStep(view.run(), "y") == "b/y");
  CHECK(PathOfStep(view.run(), "x") == "");  // two have it
  CHECK(PathOfStep(view.run(), "z") == "");
}

TEST_CASE("why: what is parked or failed comes first") {
  RunEvents events;
  events.Start("f", {{.id = "a", .needs = {}}, {.id = "b", .needs = {}}, {.id = "c", .needs = {}}});
  events.Attempt("a").Attempt("b").Attempt("c").Failed("b", 1).FailedForNow("c", 1);
  events.Parked("c", "unknown");
  CHECK(NotableSteps(events.View().run()) == std::vector<std::string>{"c", "b", "a"});
}

}  // namespace
}  // namespace beamline::cli
