// Findings as people and programs read them: text with carets, JSON, SARIF, GitHub annotations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flowspec/finding.h"

namespace beamline::flowspec {

// What one file has to be told. `path` as it shall be shown.
struct FileFindings {
  std::string path;
  std::string source;
  Findings findings;
};

struct TextStyle {
  bool color = false;
  int columns = 100;  // longer source lines are cut around the span
};

// One block per finding in the style of rustc, each followed by an empty line. Control characters
// of the file never reach the terminal.
std::string FindingsText(const FileFindings& file, const TextStyle& style = {});

// A JSON array of {file, code, severity, message, line, column, length, label?, help?, fix?} over
// all files; columns and lengths count bytes from 1, `fix` is {line, column, length, text}.
std::string FindingsJson(const std::vector<FileFindings>& files);

// One SARIF 2.1.0 log; columns count code points.
std::string FindingsSarif(const std::vector<FileFindings>& files);

// One workflow command of GitHub Actions a line.
std::string FindingsGithub(const std::vector<FileFindings>& files);

// `source` with the fixes of `findings` applied; of fixes that overlap, the first.
std::string ApplyFixes(std::string_view source, const Findings& findings);

}  // namespace beamline::flowspec
