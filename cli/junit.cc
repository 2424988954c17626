// JUnit XML; see junit.h.
#include "cli/junit.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/run_json.h"
#include "cli/text.h"
#include "cli/tree.h"
#include "proto/run_view.h"

namespace beamline::cli {
namespace {

using google::protobuf::RepeatedPtrField;

// For attribute values and text; control characters do not exist in XML 1.0.
std::string Escape(const std::string& text) {
  std::string out;
  for (char c : Printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

struct Report {
  std::string suite;
  std::string cases;
  int count = 0, failures = 0, errors = 0, skipped = 0;
};

template <typename T>
double SecondsOf(const T& node) {
  if (!node.has_started_at() || !node.has_finished_at()) return 0;
  return absl::ToDoubleSeconds(ToTime(node.finished_at()) - ToTime(node.started_at()));
}

template <typename T>
void AddCase(const T& node, const std::string& name, Report* report) {
  ++report->count;
  absl::StrAppend(&report->cases, "  <testcase classname=\"", Escape(report->suite), "\" name=\"",
                  Escape(name), "\"", absl::StrFormat(" time=\"%.3f\"", SecondsOf(node)));
  std::string body;
  switch (node.status()) {
    case v1::STATUS_SUCCEEDED:
      break;
    case v1::STATUS_FAILED:
      ++report->failures;
      body = absl::StrCat("<failure type=\"", Escape(node.failure().kind()), "\" message=\"",
                          Escape(FailureText(node.failure())), "\"/>");
      break;
    case v1::STATUS_PARKED:
      ++report->errors;
      body = absl::StrCat("<error type=\"parked\" message=\"", Escape(node.reason()), "\"/>");
      break;
    default:
      ++report->skipped;
      body = absl::StrCat(
          "<skipped message=\"",
          Escape(node.reason().empty() ? proto::StatusWord(node.status()) : node.reason()), "\"/>");
  }
  absl::StrAppend(&report->cases, body.empty() ? "/>\n" : ">" + body + "</testcase>\n");
}

void AddSteps(const RepeatedPtrField<v1::Step>& steps, const std::string& prefix, Report* report) {
  for (const v1::Step& step : steps) {
    const std::string name = prefix + step.id();
    // Handlers that were not needed are no tests.
    if (step.section() > v1::SECTION_MAIN && step.status() == v1::STATUS_PENDING) continue;
    if (step.items().empty() && step.steps().empty()) {
      AddCase(step, name, report);
      continue;
    }
    AddSteps(step.steps(), name + "/", report);
    for (const v1::Item& item : step.items()) {
      const std::string item_name = absl::StrCat(name, "[", item.key(), "]");
      if (item.steps().empty()) AddCase(item, item_name, report);
      AddSteps(item.steps(), item_name + "/", report);
    }
  }
}

}  // namespace

std::string JunitXml(const v1::Run& run) {
  Report report;
  report.suite = run.flow();
  AddSteps(run.steps(), "", &report);
  std::string counts =
      absl::StrFormat(" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" time=\"%.3f\"",
                      report.count, report.failures, report.errors, report.skipped, SecondsOf(run));
  return absl::StrCat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"",
      Escape(run.flow()), "\"", counts, " timestamp=\"",
      run.has_started_at() ? TimeText(run.started_at()) : "", "\">\n",
      "  <properties><property name=\"run\" value=\"", Escape(run.id()), "\"/></properties>\n",
      report.cases, "</testsuite>\n</testsuites>\n");
}

std::string TestsXml(const std::vector<TestResult>& results) {
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (size_t i = 0; i < results.size();) {
    const TestResult& first = results[i];
    std::string cases;
    int count = 0, failures = 0;
    absl::Duration took;
    for (; i < results.size() && results[i].file == first.file; ++i) {
      const TestResult& result = results[i];
      ++count;
      took += result.took;
      absl::StrAppend(&cases, "  <testcase classname=\"", Escape(result.suite), "\" name=\"",
                      Escape(result.name), "\" file=\"", Escape(result.file), "\"",
                      absl::StrFormat(" time=\"%.3f\"", absl::ToDoubleSeconds(result.took)));
      if (result.problems.empty()) {
        cases += "/>\n";
        continue;
      }
      ++failures;
      absl::StrAppend(&cases, "><failure message=\"", Escape(result.problems.front()), "\">",
                      Escape(absl::StrJoin(result.problems, "; ")), "</failure></testcase>\n");
    }
    absl::StrAppend(&xml, "<testsuite name=\"", Escape(first.suite), "\"",
                    absl::StrFormat(" tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"0\" "
                                    "time=\"%.3f\">\n",
                                    count, failures, absl::ToDoubleSeconds(took)),
                    cases, "</testsuite>\n");
  }
  return xml + "</testsuites>\n";
}

absl::Status WriteJunit(const v1::Run& run, const std::string& path) {
  return WriteWholeFile(path, JunitXml(run));
}

absl::Status WriteWholeFile(const std::string& path, const std::string& text) {
  // A device or pipe (/dev/stdout) is written to, not replaced.
  std::error_code error;
  const bool special =
      std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
  const std::string target = special ? path : path + ".part";
  std::ofstream file(target, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file.fail() || (!special && std::rename(target.c_str(), path.c_str()) != 0)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace beamline::cli
