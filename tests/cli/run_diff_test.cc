// What two runs differ in, and what is not worth a word.
#include "cli/run_diff.h"

#include <doctest/doctest.h>

#include "cli/value_change_text.h"

namespace beamline::cli {
namespace {

std::string Paths(const std::vector<ValueChange>& changes) {
  std::string text;
  for (const ValueChange& change : changes) {
    text += (text.empty() ? "" : " ") + change.path + ":" + change.from.value_or("") + ">" +
            change.to.value_or("");
  }
  return text;
}

std::string Differ(const std::string& from, const std::string& to) {
  size_t left_out = 0;
  return Paths(DiffJson(from, to, 10, &left_out));
}

TEST_CASE("values are compared by their structure") {
  CHECK(Differ("1", "1") == "");
  CHECK(Differ(R"({"a":1,"b":2})", R"({"b":2,"a":1})") == "");
  CHECK(Differ(R"({"a":{"b":1},"c":2})", R"({"a":{"b":3},"d":4})") == ".a.b:1>3 .c:2> .d:>4");
  CHECK(Differ("[1,2]", "[1,3,4]") == ".[1]:2>3 .[2]:>4");
  CHECK(Differ(R"({"x y":1,"1":[{"z":1}]})", R"({"x y":2,"1":[{"z":2}]})") ==
        R"(.["1"][0].z:1>2 .["x y"]:1>2)");
  CHECK(Differ("null", R"("text")") == R"(.:null>"text")");
  CHECK(Differ("{", "1") == ".:{>1");  // not JSON: all of it
}

TEST_CASE("only so many changes are kept; the others are counted") {
  size_t left_out = 0;
  CHECK(DiffJson("[1,2,3,4]", "[5,6,7,8]", 3, &left_out).size() == 3);
  CHECK(left_out == 1);
}

TEST_CASE("changes are lines that fit; texts are compared line by line; nothing escapes") {
  CHECK(ValueChangeLines({{".a", "1", "2"}, {".b", std::nullopt, "3"}, {".c", "4", std::nullopt}},
                         2, false, 80) ==
        std::vector<std::string>{".a  1 → 2", "+ .b  3", "- .c  4", "… and 2 more"});
  CHECK(ValueChangeLines({{".t", R"("one\ntwo\n")", R"("one\nthree\n")"}}, 0, false, 80) ==
        std::vector<std::string>{".t", "@@ -1,2 +1,2 @@", " one", "-two", "+three"});
  const std::string evil = ValueChangeLines({{".t", R"("a")", "\"\x1b[31m\""}}, 0, false, 80)[0];
  CHECK(evil.find('\x1b') == std::string::npos);
}

v1::Step* AddStep(RunSide* side, const std::string& id, v1::Status status, int milliseconds) {
  v1::Step* step = side->run.add_steps();
  step->set_id(id);
  step->set_status(status);
  step->mutable_started_at()->set_seconds(100);
  step->mutable_finished_at()->set_seconds(100 + milliseconds / 1000);
  step->mutable_finished_at()->set_nanos(milliseconds % 1000 * 1'000'000);
  step->add_attempts();
  return step;
}

TEST_CASE("steps that came to the same in about the time are equal") {
  RunSide from, to;
  AddStep(&from, "a", v1::STATUS_SUCCEEDED, 100);
  AddStep(&to, "a", v1::STATUS_SUCCEEDED, 550);  // more than twice, but nobody would notice
  AddStep(&from, "b", v1::STATUS_SUCCEEDED, 5000);
  AddStep(&to, "b", v1::STATUS_SUCCEEDED, 9000);  // not twice
  const RunDiff diff = DiffRuns(from, to);
  CHECK(diff.steps.empty());
  CHECK(diff.steps_equal == 2);
  CHECK(diff.same());
}

TEST_CASE("a step that took twice as long, failed, or is in one run only is told") {
  RunSide from, to;
  AddStep(&from, "slow", v1::STATUS_SUCCEEDED, 1000);
  AddStep(&to, "slow", v1::STATUS_SUCCEEDED, 4000);
  AddStep(&from, "gone", v1::STATUS_SUCCEEDED, 1);
  AddStep(&from, "each", v1::STATUS_SUCCEEDED, 1)->add_items()->set_key("berlin");
  v1::Item* item = AddStep(&to, "each", v1::STATUS_SUCCEEDED, 1)->add_items();
  item->set_key("berlin");
  item->set_status(v1::STATUS_FAILED);
  item->mutable_failure()->set_kind("exit");
  item->mutable_failure()->set_exit_code(2);
  AddStep(&to, "new", v1::STATUS_SUCCEEDED, 1);
  from.events = {{"StepFinished", 3}, {"RunStarted", 1}};
  to.events = {{"StepFinished", 4}, {"RunStarted", 1}, {"RunPaused", 1}};
  const RunDiff diff = DiffRuns(from, to);
  REQUIRE(diff.steps.size() == 4);
  CHECK(diff.steps[0].path == "slow");
  CHECK(diff.steps[0].slower);
  CHECK(diff.steps[1].path == "gone");
  CHECK(diff.steps[1].only == StepDiff::Only::kFrom);
  CHECK(diff.steps[2].path == "each[berlin]");
  CHECK(diff.steps[2].error->to == "exit 2");
  CHECK(diff.steps[3].path == "new");
  CHECK(diff.steps_equal == 1);
  CHECK(diff.events.size() == 2);
  CHECK(diff.events.at("RunPaused") == std::pair<int64_t, int64_t>(0, 1));
  CHECK(diff.events_equal == 1);
  CHECK_FALSE(diff.same());
}

TEST_CASE("no output and null are the same to a reader") {
  RunSide from, to;
  AddStep(&from, "a", v1::STATUS_SUCCEEDED, 1);
  AddStep(&to, "a", v1::STATUS_SUCCEEDED, 1)->mutable_output()->set_json("null");
  CHECK(DiffRuns(from, to).same());
  to.run.mutable_steps(0)->mutable_output()->set_json("1");
  REQUIRE(DiffRuns(from, to).steps.size() == 1);
  CHECK(DiffRuns(from, to).steps[0].output.changes[0].to == "1");
}

TEST_CASE("large values that are the same are not even read") {
  RunSide from, to;
  for (RunSide* side : {&from, &to}) {
    side->run.mutable_outputs()->mutable_blob()->set_sha256("abc");
    side->read_blob = [](const v1::Blob&) -> std::string {
      FAIL("read");
      return "";
    };
  }
  CHECK(DiffRuns(from, to).same());
}

}  // namespace
}  // namespace beamline::cli
