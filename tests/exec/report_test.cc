// What JUnit and SARIF files come to, those that mean harm included.
#include "daemon/exec/report.h"

#include <doctest/doctest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/store/memory_blob_store.h"

namespace beamline::exec {
namespace {

std::string Times(size_t count, const std::string& text) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST_CASE("cases are counted, whatever the suites say of themselves") {
  const run::ReportSummary summary = ReadJunit(R"(<?xml version="1.0"?>
<testsuites><testsuite name="math" tests="999" failures="0">
  <testcase classname="math" name="add" time="0.25"/>
  <testcase classname="math" name="div" file="math_test.py" line="17" time="1.5">
    <failure message="expected 3, got &lt;2&gt;">Traceback</failure>
  </testcase>
  <testsuite><testcase name="inner"><error>
    boom
    second line</error></testcase></testsuite>
  <testcase name="later"><skipped/></testcase>
</testsuite></testsuites>)");
  CHECK(summary.problem == "");
  CHECK(summary.tests == 4);
  CHECK(summary.failures == 1);
  CHECK(summary.errors == 1);
  CHECK(summary.skipped == 1);
  CHECK(summary.time == absl::Milliseconds(1750));
  REQUIRE(summary.cases.size() == 2);
  CHECK(summary.cases[0] == run::ReportCase{"math.div", "expected 3, got <2>", "math_test.py", 17});
  CHECK(summary.cases[1] == run::ReportCase{"inner", "boom", "", 0});
}

TEST_CASE("the root's time counts before the sum; nonsense counts as none") {
  CHECK(ReadJunit(R"(<testsuite time="2.5"><testcase name="a" time="9"/></testsuite>)").time ==
        absl::Milliseconds(2500));
  CHECK(ReadJunit(R"(<testsuite time="nan"/>)").time == absl::ZeroDuration());
  CHECK(ReadJunit(R"(<testsuite time="-3"/>)").time == absl::ZeroDuration());
  CHECK(ReadJunit(R"(<testsuite time="1e300"/>)").time == absl::Seconds(1'000'000'000));
}

TEST_CASE("a report that is none says so") {
  CHECK(ReadJunit("<testsuite>\n<testcase>\n</testsuite>").problem ==
        "line 3: Start-end tags mismatch");
  CHECK(ReadJunit("").problem == "line 1: No document element found");
  CHECK(ReadJunit("<html/>").problem == "not JUnit XML: it begins with <html>");
  CHECK(ReadSarif("nothing").problem == "not JSON");
  CHECK(ReadSarif("[]").problem == "not SARIF: it has no `runs`");
}

TEST_CASE("entities of the file are not expanded, and nothing outside is read") {
  const run::ReportSummary summary = ReadJunit(R"(<!DOCTYPE t [
<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>
<testsuite><testcase name="&b;"><failure message="&x;"/></testcase></testsuite>)");
  REQUIRE(summary.cases.size() == 1);
  CHECK(summary.cases[0].name == "&b;");
  CHECK(summary.cases[0].message == "&x;");
}

TEST_CASE("depth and number are bounded") {
  CHECK(ReadJunit(Times(100'000, "<testsuite>") + Times(100'000, "</testsuite>")).problem ==
        "elements are nested deeper than 64");
  CHECK(ReadSarif(Times(100'000, "[") + Times(100'000, "]")).problem == "nested deeper than 64");
  const run::ReportSummary many = ReadJunit(absl::StrCat(
      "<testsuite>", Times(50'000, "<testcase name='x'><failure/></testcase>"), "</testsuite>"));
  CHECK(many.failures == 50'000);
  CHECK(many.cases.size() == kReportCasesMax);
}

TEST_CASE("SARIF: results by level, with their places") {
  const run::ReportSummary summary = ReadSarif(R"({"version": "2.1.0", "runs": [{"results": [
    {"level": "note", "message": {"text": "fine"}},
    {"message": {"text": "no level is a warning"}},
    {"level": "error", "ruleId": "SC2086", "message": {"text": "quote this"}, "locations": [
      {"physicalLocation": {"artifactLocation": {"uri": "dev"}, "region": {"startLine": 12}}}]},
    {"kind": "pass", "level": "none"}, 7, {"level": 3, "locations": {}}]}, 5]})");
  CHECK(summary.problem == "");
  CHECK(summary.errors == 1);
  CHECK(summary.warnings == 3);
  CHECK(summary.notes == 1);
  REQUIRE(summary.cases.size() == 1);
  CHECK(summary.cases[0] == run::ReportCase{"SC2086", "quote this", "dev", 12});
}

TEST_CASE("summaries: secrets are hidden, texts cut, the cases of all reports bounded together") {
  store::MemoryBlobStore blobs;
  const std::string report =
      absl::StrCat("<testsuite>",
                   Times(15, absl::StrCat("<testcase name='t'><failure message='s3cr3t-value ",
                                          std::string(1000, 'x'), "'/></testcase>")),
                   "</testsuite>");
  const std::string digest = *blobs.Put(report);
  std::vector<run::ArtifactRef> artifacts = {
      {"one", "a.xml", digest, report.size(), "junit"},
      {"two", "b.xml", digest, report.size(), "junit"},
      {"bin", "app", digest, report.size(), ""},
      {"huge", "c.xml", digest, kReportBytesMax + 1, "junit"},
      {"gone", "d.sarif", std::string(64, 'a'), 3, "sarif"}};
  const Redactor redactor({"s3cr3t-value"});
  SummarizeReports(&redactor, blobs, &artifacts);
  REQUIRE(artifacts[0].summary);
  CHECK(artifacts[0].summary->cases.size() == 15);
  CHECK(artifacts[1].summary->cases.size() == 5);
  CHECK(artifacts[1].summary->failures == 15);
  CHECK(absl::StartsWith(artifacts[0].summary->cases[0].message, "*** xxx"));
  CHECK(artifacts[0].summary->cases[0].message.size() <= kReportTextBytesMax + 3);  // and "..."
  CHECK_FALSE(artifacts[2].summary);
  CHECK(artifacts[3].summary->problem == "it has 8388609 bytes; reports of at most 8 MiB are read");
  CHECK(artifacts[4].summary->problem != "");
}

}  // namespace
}  // namespace beamline::exec
