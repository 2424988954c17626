// SARIF 2.1: what linters and scanners found.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/exec/report.h"

namespace beamline::exec {
namespace {

using json = nlohmann::json;

constexpr int kDepthMax = 64;

// The member at `pointer`, or null.
const json& At(const json& value, const char* pointer) {
  static const json* const kNull = new json;
  const json::json_pointer at(pointer);
  return value.contains(at) ? value.at(at) : *kNull;
}

std::string TextAt(const json& value, const char* pointer) {
  const json& text = At(value, pointer);
  return text.is_string() ? text.get<std::string>() : std::string();
}

run::ReportCase CaseOf(const json& result) {
  const json& line = At(result, "/locations/0/physicalLocation/region/startLine");
  const int64_t number = line.is_number_integer() ? line.get<int64_t>() : 0;
  return {TextAt(result, "/ruleId"), TextAt(result, "/message/text"),
          TextAt(result, "/locations/0/physicalLocation/artifactLocation/uri"),
          number > 0 && number <= INT32_MAX ? static_cast<int32_t>(number) : 0};
}

struct Cases {
  std::vector<run::ReportCase> errors, warnings;
};

void CountResult(const json& result, run::ReportSummary* summary, Cases* cases) {
  const std::string kind = TextAt(result, "/kind");
  if (!kind.empty() && kind != "fail") return;
  const std::string level = TextAt(result, "/level");
  std::vector<run::ReportCase>* list = nullptr;
  if (level == "error") {
    ++summary->errors;
    list = &cases->errors;
  } else if (level == "note") {
    ++summary->notes;
  } else if (level != "none") {  // "warning", and where no level is told
    ++summary->warnings;
    list = &cases->warnings;
  }
  if (list != nullptr && list->size() < kReportCasesMax) list->push_back(CaseOf(result));
}

}  // namespace

run::ReportSummary ReadSarif(std::string_view text) {
  run::ReportSummary summary;
  bool too_deep = false;
  const auto bound = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kDepthMax;
    return !too_deep;
  };
  const json log = json::parse(text, bound, /*allow_exceptions=*/false);
  if (too_deep) {
    summary.problem = absl::StrCat("nested deeper than ", kDepthMax);
  } else if (log.is_discarded()) {
    summary.problem = "not JSON";
  } else if (!At(log, "/runs").is_array()) {
    summary.problem = "not SARIF: it has no `runs`";
  }
  if (!summary.problem.empty()) return summary;
  Cases cases;
  for (const json& run : log["runs"]) {
    const json& results = At(run, "/results");
    if (!results.is_array()) continue;
    for (const json& result : results) CountResult(result, &summary, &cases);
  }
  summary.cases = std::move(cases.errors.empty() ? cases.warnings : cases.errors);
  return summary;
}

}  // namespace beamline::exec
