// What the test reports and findings among a step's artifacts say, in one line.
#pragma once

#include <cstdint>
#include <string>

#include "beamline/v1/event.pb.h"
#include "beamline/v1/run.pb.h"

namespace beamline::cli {

// Adds up the reports of a step, or of all items of one.
class ReportSum {
 public:
  using Artifacts = google::protobuf::RepeatedPtrField<v1::Artifact>;

  void Add(const Artifacts& artifacts);
  // "tests 41 passed, 1 failed: math.add: expected 3", "findings 2 errors, 1 warning: …",
  // "report `tests` not read: …"; empty if there was no report.
  std::string Text() const;

 private:
  std::string TestsText() const;
  std::string FindingsText() const;

  int64_t tests_ = 0, failed_ = 0, skipped_ = 0;
  int64_t errors_ = 0, warnings_ = 0, notes_ = 0;
  bool has_tests_ = false, has_findings_ = false;
  std::string first_test_, first_finding_;  // that failed
  std::string problem_;                     // of the first report that has one
};

// Of a step: its own reports or, of a foreach, those of its items.
std::string ReportText(const v1::Step& step);

}  // namespace beamline::cli
