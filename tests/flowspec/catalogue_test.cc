// Every code is produced by a bad file, and every bad file yields exactly the codes it names.
#include "flowspec/catalogue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "flowspec/child_flows.h"
#include "flowspec/findings_text.h"
#include "flowspec/outside.h"
#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<fs::path> FilesIn(const char* folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(BEAMLINE_SOURCE_DIR) / folder)) {
    // A run of an example may have left its artifacts there.
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// All that `validate` and a submit would say.
Findings AllFindings(const std::string& source) {
  FlowFiles files("bad.flow.yaml", [](const std::string& path) -> absl::StatusOr<std::string> {
    std::string text = ReadFile(fs::path(BEAMLINE_SOURCE_DIR) / "tests/flowspec" / path);
    if (text.empty()) return absl::NotFoundError("there is no such file");
    return text;
  });
  ParseResult result = ParseFlow(source, {.children = files.Children()});
  if (result.flow == nullptr) return result.findings;
  Findings all = result.findings;
  const Findings later = CheckExecutable(*result.flow);
  all.insert(all.end(), later.begin(), later.end());
  const Findings unasked = Unasked(*result.flow);
  all.insert(all.end(), unasked.begin(), unasked.end());
  return all;
}

std::string CodesOf(const Findings& findings) {
  std::vector<std::string> codes;
  for (const Finding& finding : findings) codes.push_back(finding.code);
  std::sort(codes.begin(), codes.end());
  std::string joined;
  for (const std::string& code : codes) joined += (joined.empty() ? "" : " ") + code;
  return joined;
}

TEST_CASE("each bad file yields the codes of its first line, and no others") {
  // The file of BL0001 would weigh a megabyte: yaml_test.cc makes it. BL0606 is said by a daemon.
  std::set<std::string> seen{"BL0001", "BL0606"};
  for (const fs::path& path : FilesIn("tests/flowspec/bad")) {
    const std::string source = ReadFile(path);
    const std::string expected = source.substr(2, source.find('\n') - 2);
    const std::string name = path.filename().string().substr(0, 6);
    const Findings findings = AllFindings(source);
    CAPTURE(path.filename().string());
    CAPTURE(FindingsText({path.filename().string(), source, findings}));
    CHECK(CodesOf(findings) == expected);
    CHECK(expected.find(name) != std::string::npos);
    for (const Finding& finding : findings) {
      seen.insert(finding.code);
      CHECK(finding.span.line >= 1);
      CHECK(finding.span.column >= 1);
    }
  }
  for (const CodeEntry& entry : Codes()) {
    CAPTURE(entry.code);
    CHECK(seen.count(entry.code) == 1);
    seen.erase(entry.code);
  }
  for (const std::string& code : seen) FAIL_CHECK("not in the catalogue: " << code);
}

TEST_CASE("a fix mends its finding") {
  int fixes = 0;
  for (const fs::path& path : FilesIn("tests/flowspec/bad")) {
    const std::string source = ReadFile(path);
    const Findings before = ParseFlow(source).findings;
    const auto fixable = std::count_if(before.begin(), before.end(),
                                       [](const Finding& f) { return f.fix.has_value(); });
    if (fixable == 0) continue;
    fixes += static_cast<int>(fixable);
    const Findings after = ParseFlow(ApplyFixes(source, before)).findings;
    CAPTURE(path.filename().string());
    CHECK(after.size() + static_cast<size_t>(fixable) <= before.size());
  }
  CHECK(fixes > 10);
}

TEST_CASE("the examples are clean") {
  for (const char* folder : {"examples", "tests/flowspec/good"}) {
    for (const fs::path& path : FilesIn(folder)) {
      const ParseResult result = ParseFlow(ReadFile(path));
      CAPTURE(path.filename().string());
      CHECK(CodesOf(result.findings) == "");
      CHECK(result.flow != nullptr);
    }
  }
  for (const fs::path& path : FilesIn("examples")) {
    CAPTURE(path.filename().string());
    Findings findings = AllFindings(ReadFile(path));
    std::erase_if(findings, [](const Finding& f) { return f.code == "BL0603"; });  // ask a daemon
    CHECK(CodesOf(findings) == "");
  }
}

TEST_CASE("explain knows codes and keys") {
  CHECK(Explain("bl0203").find("steps.draft.output.body") != std::string::npos);
  CHECK(Explain("retry.max").find("Attempts in all") != std::string::npos);
  const std::string timeout = Explain("timeout");  // of a flow, of a step, of an approval
  CHECK(timeout.find("How long a run may take") != std::string::npos);
  CHECK(timeout.find("How long one attempt may take") != std::string::npos);
  CHECK(timeout.find("Silence for so long is a no") != std::string::npos);
  CHECK(Explain("retry").find("honor_retry_after") != std::string::npos);
  CHECK(Explain("frobnicate") == "");
  for (const std::string& topic : ExplainTopics()) {
    CAPTURE(topic);
    CHECK_FALSE(Explain(topic).empty());
  }
}

}  // namespace
}  // namespace beamline::flowspec
