// JUnit XML, with pugixml: it reads no document type, so no entity but XML's own five and nothing
// from elsewhere.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <pugixml.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/report.h"

namespace beamline::exec {
namespace {

constexpr int kDepthMax = 64;
constexpr double kSecondsMax = 1e9;

double Seconds(const pugi::xml_node& node) {
  const double seconds = node.attribute("time").as_double();
  return std::isfinite(seconds) ? std::clamp(seconds, 0.0, kSecondsMax) : 0;
}

std::string CaseName(const pugi::xml_node& test) {
  const std::string name = test.attribute("name").value();
  const std::string of_class = test.attribute("classname").value();
  if (of_class.empty() || absl::StartsWith(name, of_class)) return name;
  return absl::StrCat(of_class, ".", name);
}

// The message, or else the first line of the text that has one.
std::string Message(const pugi::xml_node& failure) {
  std::string message = failure.attribute("message").value();
  if (!message.empty()) return message;
  const absl::string_view text = failure.text().get();
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  return std::string(text.substr(begin, text.find('\n', begin) - begin));
}

void CountCase(const pugi::xml_node& test, run::ReportSummary* summary) {
  ++summary->tests;
  pugi::xml_node bad = test.child("failure");
  if (bad) {
    ++summary->failures;
  } else if ((bad = test.child("error"))) {
    ++summary->errors;
  } else if (test.child("skipped")) {
    ++summary->skipped;
  }
  if (!bad || summary->cases.size() == kReportCasesMax) return;
  summary->cases.push_back({CaseName(test), Message(bad), test.attribute("file").value(),
                            std::max(0, test.attribute("line").as_int())});
}

// The next element in the order of the document; `depth` goes along.
pugi::xml_node Next(pugi::xml_node node, int* depth) {
  if (node.first_child()) {
    ++*depth;
    return node.first_child();
  }
  while (node && !node.next_sibling()) {
    node = node.parent();
    --*depth;
  }
  return node.next_sibling();
}

std::string Problem(std::string_view xml, const pugi::xml_parse_result& result) {
  const auto end = xml.begin() + std::min<ptrdiff_t>(result.offset, std::ssize(xml));
  return absl::StrCat("line ", 1 + std::count(xml.begin(), end, '\n'), ": ", result.description());
}

}  // namespace

run::ReportSummary ReadJunit(std::string_view xml) {
  run::ReportSummary summary;
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer(xml.data(), xml.size());
  const pugi::xml_node root = document.document_element();
  const char* name = root.name();
  if (!result || (strcmp(name, "testsuites") != 0 && strcmp(name, "testsuite") != 0)) {
    summary.problem =
        !result ? Problem(xml, result) : absl::StrCat("not JUnit XML: it begins with <", name, ">");
    return summary;
  }
  double seconds = 0;
  int depth = 0;
  for (pugi::xml_node node = root; node; node = Next(node, &depth)) {
    if (depth > kDepthMax) {
      summary = run::ReportSummary();
      summary.problem = absl::StrCat("elements are nested deeper than ", kDepthMax);
      return summary;
    }
    if (strcmp(node.name(), "testcase") != 0) continue;
    CountCase(node, &summary);
    seconds += Seconds(node);
  }
  if (root.attribute("time")) seconds = Seconds(root);
  summary.time = absl::Milliseconds(static_cast<int64_t>(std::min(seconds, kSecondsMax) * 1000));
  return summary;
}

}  // namespace beamline::exec
