// Findings for programs: JSON, SARIF 2.1.0, and GitHub's workflow commands.
#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "flowspec/catalogue.h"
#include "flowspec/findings_text.h"
#include "flowspec/yaml.h"
#include "nlohmann/json.hpp"

namespace beamline::flowspec {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

const char* LevelOf(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "";
}

// Code points in the first `bytes` of `line`.
int CodePoints(std::string_view line, int bytes) {
  const std::string_view head = line.substr(0, std::clamp<size_t>(bytes, 0, line.size()));
  return static_cast<int>(std::count_if(head.begin(), head.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

struct Columns {
  int start, end;  // in code points from 1; end is past the last
};

Columns ColumnsOf(const Span& span, const LineTable& lines) {
  const std::string_view line = lines.Line(span.line);
  return {CodePoints(line, std::max(span.column, 1) - 1) + 1,
          CodePoints(line, std::max(span.column, 1) - 1 + std::max(span.length, 0)) + 1};
}

Json Region(const Span& span, const LineTable& lines) {
  const Columns columns = ColumnsOf(span, lines);
  return {{"startLine", std::max(span.line, 1)},
          {"startColumn", columns.start},
          {"endLine", std::max(span.line, 1)},
          {"endColumn", std::max(columns.end, columns.start)}};
}

// A relative URI reference.
std::string UriOf(const std::string& path) {
  std::string uri;
  for (const char c : path) {
    if (absl::ascii_isalnum(c) || c == '/' || c == '.' || c == '-' || c == '_' || c == '~') {
      uri.push_back(c);
    } else {
      absl::StrAppendFormat(&uri, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return uri;
}

std::string WholeMessage(const Finding& finding) {
  std::string text = finding.message;
  if (!finding.label.empty()) absl::StrAppend(&text, ": ", finding.label);
  if (!finding.help.empty()) absl::StrAppend(&text, "; ", finding.help);
  return text;
}

Json Rules(std::map<std::string, int>* indices) {
  Json rules = Json::array();
  for (const CodeEntry& entry : Codes()) {
    (*indices)[entry.code] = static_cast<int>(rules.size());
    rules.push_back({{"id", entry.code},
                     {"shortDescription", {{"text", entry.title}}},
                     {"fullDescription", {{"text", entry.text}}}});
  }
  return rules;
}

Json Result(const FileFindings& file, const Finding& finding, const LineTable& lines,
            const std::map<std::string, int>& indices) {
  const Json artifact = {{"uri", UriOf(file.path)}};
  Json result = {{"ruleId", finding.code},
                 {"level", LevelOf(finding.severity)},
                 {"message", {{"text", WholeMessage(finding)}}},
                 {"locations", Json::array({{{"physicalLocation",
                                              {{"artifactLocation", artifact},
                                               {"region", Region(finding.span, lines)}}}}})}};
  const auto index = indices.find(finding.code);
  if (index != indices.end()) result["ruleIndex"] = index->second;
  if (finding.fix) {
    const Json replacement = {{"deletedRegion", Region(finding.fix->span, lines)},
                              {"insertedContent", {{"text", finding.fix->text}}}};
    result["fixes"] = Json::array(
        {{{"description", {{"text", finding.help}}},
          {"artifactChanges", Json::array({{{"artifactLocation", artifact},
                                            {"replacements", Json::array({replacement})}}})}}});
  }
  return result;
}

std::string EscapeData(const std::string& text) {
  return absl::StrReplaceAll(text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
}

std::string EscapeProperty(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}, {":", "%3A"}, {",", "%2C"}});
}

}  // namespace

std::string FindingsJson(const std::vector<FileFindings>& files) {
  Json all = Json::array();
  for (const FileFindings& file : files) {
    for (const Finding& finding : file.findings) {
      Json json = {{"file", file.path},
                   {"code", finding.code},
                   {"severity", LevelOf(finding.severity)},
                   {"message", finding.message},
                   {"line", finding.span.line},
                   {"column", finding.span.column},
                   {"length", finding.span.length}};
      if (!finding.label.empty()) json["label"] = finding.label;
      if (!finding.help.empty()) json["help"] = finding.help;
      if (finding.fix) {
        json["fix"] = {{"line", finding.fix->span.line},
                       {"column", finding.fix->span.column},
                       {"length", finding.fix->span.length},
                       {"text", finding.fix->text}};
      }
      all.push_back(std::move(json));
    }
  }
  return Dump(all);
}

std::string FindingsSarif(const std::vector<FileFindings>& files) {
  std::map<std::string, int> indices;
  Json rules = Rules(&indices);
  Json results = Json::array();
  for (const FileFindings& file : files) {
    const LineTable lines(file.source);
    for (const Finding& finding : file.findings) {
      results.push_back(Result(file, finding, lines, indices));
    }
  }
  Json run = {{"tool", {{"driver", {{"name", "beamline"}, {"rules", std::move(rules)}}}}},
              {"columnKind", "unicodeCodePoints"},
              {"results", std::move(results)}};
  return Dump({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
               {"version", "2.1.0"},
               {"runs", Json::array({std::move(run)})}});
}

std::string FindingsGithub(const std::vector<FileFindings>& files) {
  std::string out;
  for (const FileFindings& file : files) {
    const LineTable lines(file.source);
    for (const Finding& finding : file.findings) {
      const Columns columns = ColumnsOf(finding.span, lines);
      const char* command =
          finding.severity == Severity::kNote ? "notice" : LevelOf(finding.severity);
      absl::StrAppend(&out, "::", command, " file=", EscapeProperty(file.path),
                      ",line=", std::max(finding.span.line, 1), ",col=", columns.start,
                      ",endColumn=", std::max(columns.end, columns.start),
                      ",title=", EscapeProperty(finding.code),
                      "::", EscapeData(WholeMessage(finding)), "\n");
    }
  }
  return out;
}

}  // namespace beamline::flowspec
