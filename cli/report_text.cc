// See report_text.h.
#include "cli/report_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

// "math.add: expected 3"
std::string CaseText(const v1::ReportCase& c) {
  const std::string name = Printable(c.name()), message = Printable(c.message());
  return message.empty() ? name : name.empty() ? message : absl::StrCat(name, ": ", message);
}

}  // namespace

void ReportSum::Add(const Artifacts& artifacts) {
  for (const v1::Artifact& artifact : artifacts) {
    if (!artifact.has_summary()) continue;
    const v1::ReportSummary& summary = artifact.summary();
    if (!summary.problem().empty()) {
      if (!problem_.empty()) continue;
      problem_ = absl::StrCat("report `", Printable(artifact.name()),
                              "` not read: ", Printable(summary.problem()));
      continue;
    }
    const bool tests = artifact.report() == "junit";
    (tests ? has_tests_ : has_findings_) = true;
    std::string& first = tests ? first_test_ : first_finding_;
    if (first.empty() && !summary.cases().empty()) first = CaseText(summary.cases(0));
    if (!tests) {
      errors_ += summary.errors();
      warnings_ += summary.warnings();
      notes_ += summary.notes();
      continue;
    }
    tests_ += summary.tests();
    failed_ += summary.failures() + summary.errors();
    skipped_ += summary.skipped();
  }
}

std::string ReportSum::TestsText() const {
  std::string text = absl::StrCat("tests ", tests_ - failed_ - skipped_, " passed");
  if (failed_ > 0) absl::StrAppend(&text, ", ", failed_, " failed");
  if (skipped_ > 0) absl::StrAppend(&text, ", ", skipped_, " skipped");
  if (!first_test_.empty()) absl::StrAppend(&text, ": ", first_test_);
  return text;
}

std::string ReportSum::FindingsText() const {
  std::vector<std::string> counts;
  if (errors_ > 0) counts.push_back(Count(errors_, "error"));
  if (warnings_ > 0) counts.push_back(Count(warnings_, "warning"));
  if (notes_ > 0) counts.push_back(Count(notes_, "note"));
  std::string text = counts.empty() ? "no findings" : "findings " + absl::StrJoin(counts, ", ");
  if (!first_finding_.empty()) absl::StrAppend(&text, ": ", first_finding_);
  return text;
}

std::string ReportSum::Text() const {
  std::vector<std::string> parts;
  if (has_tests_) parts.push_back(TestsText());
  if (has_findings_) parts.push_back(FindingsText());
  if (!problem_.empty()) parts.push_back(problem_);
  return absl::StrJoin(parts, "  ");
}

std::string ReportText(const v1::Step& step) {
  ReportSum sum;
  sum.Add(step.artifacts());
  for (const v1::Item& item : step.items()) sum.Add(item.artifacts());
  return sum.Text();
}

}  // namespace beamline::cli
