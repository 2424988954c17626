// Test reports (JUnit XML) and findings (SARIF) in short. Whoever wrote the step wrote the file: it
// may be anything.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/exec/redactor.h"
#include "daemon/ports/blob_store.h"
#include "daemon/run/event.h"

namespace beamline::exec {

inline constexpr uint64_t kReportBytesMax = 8 << 20;    // of one report
inline constexpr uint64_t kReportsBytesMax = 64 << 20;  // of all reports of an attempt
inline constexpr size_t kReportCasesMax = 20;           // likewise
inline constexpr size_t kReportTextBytesMax = 300;      // of a name, message or file

// Counts the <testcase> elements of JUnit XML, whatever the counts say that the file gives itself;
// the time is the root's, or else the sum of the cases'. Entities that the file declares are not
// expanded and nothing outside of it is read.
run::ReportSummary ReadJunit(std::string_view xml);

// Counts the results of SARIF 2.1 by level; cases are errors, or warnings where there is no error.
run::ReportSummary ReadSarif(std::string_view json);

// Puts a summary to each report among `artifacts`, read from the blob store, its texts redacted
// (`redactor` may be null) and cut. A report that cannot be read gets a summary that says why: the
// step's outcome is not the report's business.
void SummarizeReports(const Redactor* redactor, const ports::BlobStore& blobs,
                      std::vector<run::ArtifactRef>* artifacts);

}  // namespace beamline::exec
