// A run as a JUnit XML report, which CI systems show: one test case per step or item.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "beamline/v1/run.pb.h"

namespace beamline::cli {

// A test suite named after the flow. Containers count by their children, foreach steps by their
// items; skipped, cancelled and pending steps are skipped test cases, parked ones errors.
std::string JunitXml(const v1::Run& run);

// Writes JunitXml(run) to `path` by way of a temporary file beside it.
absl::Status WriteJunit(const v1::Run& run, const std::string& path);

// What became of one case of `beamline flow test`.
struct TestResult {
  std::string file;
  std::string suite;  // the flow's name
  std::string name;
  std::string run_id;                 // empty: it was not started
  std::vector<std::string> problems;  // none: it has passed
  absl::Duration took;
};

// A test suite for each flow, in the order of the results.
std::string TestsXml(const std::vector<TestResult>& results);

// Replaces the file at `path` by `text`: afterwards it has all of it, or is as it was.
absl::Status WriteWholeFile(const std::string& path, const std::string& text);

}  // namespace beamline::cli
