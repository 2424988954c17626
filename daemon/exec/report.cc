// Bounds what reports may cost and what of them goes into the log.
#include "daemon/exec/report.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/exec/printable.h"

namespace beamline::exec {
namespace {

run::ReportSummary Unread(std::string why) {
  run::ReportSummary summary;
  summary.problem = std::move(why);
  return summary;
}

run::ReportSummary Read(const run::ArtifactRef& report, const ports::BlobStore& blobs,
                        uint64_t* bytes_left) {
  if (report.bytes > kReportBytesMax) {
    return Unread(absl::StrCat("it has ", report.bytes, " bytes; reports of at most ",
                               kReportBytesMax >> 20, " MiB are read"));
  }
  if (report.bytes > *bytes_left) {
    return Unread(absl::StrCat("the step's reports have more than ", kReportsBytesMax >> 20,
                               " MiB together"));
  }
  *bytes_left -= report.bytes;
  const absl::StatusOr<std::string> content = blobs.Get(report.sha256);
  if (!content.ok()) return Unread(std::string(content.status().message()));
  return report.report == "junit" ? ReadJunit(*content) : ReadSarif(*content);
}

std::string Shown(const Redactor* redactor, const std::string& text) {
  return PrintableLine(redactor == nullptr ? text : redactor->Redact(text), kReportTextBytesMax);
}

}  // namespace

void SummarizeReports(const Redactor* redactor, const ports::BlobStore& blobs,
                      std::vector<run::ArtifactRef>* artifacts) {
  uint64_t bytes_left = kReportsBytesMax;
  size_t cases_left = kReportCasesMax;
  for (run::ArtifactRef& artifact : *artifacts) {
    if (artifact.report.empty()) continue;
    run::ReportSummary summary = Read(artifact, blobs, &bytes_left);
    summary.problem = Shown(redactor, summary.problem);
    summary.cases.resize(std::min(summary.cases.size(), cases_left));
    cases_left -= summary.cases.size();
    for (run::ReportCase& c : summary.cases) {
      for (std::string* text : {&c.name, &c.message, &c.file}) *text = Shown(redactor, *text);
    }
    artifact.summary = std::move(summary);
  }
}

}  // namespace beamline::exec
