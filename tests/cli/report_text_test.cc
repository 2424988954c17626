// What reports say in one line.
#include "cli/report_text.h"

#include <doctest/doctest.h>

namespace beamline::cli {
namespace {

v1::Artifact* AddReport(v1::Step* step, const char* format, int tests = 0, int failures = 0,
                        int errors = 0) {
  v1::Artifact* artifact = step->add_artifacts();
  artifact->set_name("tests");
  artifact->set_report(format);
  artifact->mutable_summary()->set_tests(tests);
  artifact->mutable_summary()->set_failures(failures);
  artifact->mutable_summary()->set_errors(errors);
  return artifact;
}

TEST_CASE("reports of a step are added up, with the first failed test") {
  v1::Step step;
  step.add_artifacts()->set_name("bin");
  CHECK(ReportText(step) == "");
  AddReport(&step, "junit", 41);
  CHECK(ReportText(step) == "tests 41 passed");
  v1::Artifact* second = AddReport(&step, "junit", 5, 1, 1);
  second->mutable_summary()->set_skipped(2);
  v1::ReportCase* failed = second->mutable_summary()->add_cases();
  failed->set_name("math.add");
  failed->set_message("expected\x1b[31m 3");
  CHECK(ReportText(step) == "tests 42 passed, 2 failed, 2 skipped: math.add: expected[31m 3");
}

TEST_CASE("findings are counted apart; what could not be read is said") {
  v1::Step step;
  AddReport(&step, "sarif", 0, 0, 1)->mutable_summary()->set_warnings(2);
  CHECK(ReportText(step) == "findings 1 error, 2 warnings");
  v1::Step clean;
  AddReport(&clean, "sarif");
  CHECK(ReportText(clean) == "no findings");
  AddReport(&clean, "junit")->mutable_summary()->set_problem("line 3: bad");
  CHECK(ReportText(clean) == "no findings  report `tests` not read: line 3: bad");
}

TEST_CASE("of a foreach, the reports of its items") {
  v1::Step step, made;
  AddReport(&made, "junit", 2);
  *step.add_items()->mutable_artifacts() = made.artifacts();
  *step.add_items()->mutable_artifacts() = made.artifacts();
  CHECK(ReportText(step) == "tests 4 passed");
}

}  // namespace
}  // namespace beamline::cli
