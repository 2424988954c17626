// The text form, and fixes applied.
#include "flowspec/findings_text.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "flowspec/yaml.h"

namespace beamline::flowspec {
namespace {

constexpr int kTabWidth = 4;

// One code point of a source line as it is shown.
struct Cell {
  std::string text;
  int width;
  size_t offset;  // in the line, in bytes
};

struct Range {
  uint32_t first, last;
};

bool InRanges(uint32_t point, const Range* begin, const Range* end) {
  return std::any_of(begin, end, [point](const Range& range) {
    return point >= range.first && point <= range.last;
  });
}

// Columns that a terminal gives a code point: combining marks none, East Asian and emoji two.
int WidthOf(uint32_t point) {
  static constexpr std::array<Range, 7> kZero = {{{0x300, 0x36f},
                                                  {0x200b, 0x200f},
                                                  {0x202a, 0x202e},
                                                  {0x2060, 0x2069},
                                                  {0x20d0, 0x20ff},
                                                  {0xfe00, 0xfe0f},
                                                  {0xe0100, 0xe01ef}}};
  static constexpr std::array<Range, 11> kWide = {{{0x1100, 0x115f},
                                                   {0x2e80, 0x303e},
                                                   {0x3041, 0x4dbf},
                                                   {0x4e00, 0xa4cf},
                                                   {0xac00, 0xd7a3},
                                                   {0xf900, 0xfaff},
                                                   {0xfe30, 0xfe6f},
                                                   {0xff00, 0xff60},
                                                   {0xffe0, 0xffe6},
                                                   {0x1f300, 0x1faff},
                                                   {0x20000, 0x3fffd}}};
  if (InRanges(point, kZero.begin(), kZero.end())) return 0;
  return InRanges(point, kWide.begin(), kWide.end()) ? 2 : 1;
}

// The code point at `at` and its bytes; U+FFFD and 1 for what is not UTF-8.
std::pair<uint32_t, size_t> Decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> uint32_t { return static_cast<unsigned char>(text[i]); };
  const uint32_t first = byte(at);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || at + length > text.size()) return {0xfffd, 1};
  uint32_t point = first & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {0xfffd, 1};
    point = point << 6 | (byte(at + i) & 0x3f);
  }
  return {point, length};
}

bool IsControl(uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x202a && point <= 0x202e) ||
         (point >= 0x2066 && point <= 0x2069);
}

std::vector<Cell> CellsOf(std::string_view line) {
  std::vector<Cell> cells;
  for (size_t at = 0; at < line.size();) {
    const auto [point, length] = Decode(line, at);
    if (point == '\t') {
      cells.push_back({std::string(kTabWidth, ' '), kTabWidth, at});
    } else if (IsControl(point) || point == 0xfffd) {
      cells.push_back({"\xef\xbf\xbd", 1, at});
    } else {
      cells.push_back({std::string(line.substr(at, length)), WidthOf(point), at});
    }
    at += length;
  }
  return cells;
}

// One line without control characters.
std::string Shown(std::string_view text) {
  std::string out;
  for (const Cell& cell : CellsOf(text.substr(0, 2000))) {
    out += cell.width == kTabWidth ? " " : cell.text;
  }
  return out;
}

struct Marked {
  std::string line;
  std::string carets;
};

// The line with carets under [start, start + length), cut to about `columns` around them.
Marked MarkLine(std::string_view line, size_t start, size_t length, int columns) {
  const std::vector<Cell> cells = CellsOf(line);
  size_t first = 0;
  while (first < cells.size() && cells[first].offset < start) ++first;
  size_t last = first;
  while (last < cells.size() && cells[last].offset < start + length) ++last;
  int before = 0, total = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i < first) before += cells[i].width;
    total += cells[i].width;
  }
  size_t from = 0;
  if (total > columns && before > columns / 2) {
    for (int skip = before - columns / 3; from < first && skip > 0; ++from) {
      skip -= cells[from].width;
    }
  }
  Marked marked;
  int width = 0;
  int caret_width = 0;
  if (from > 0) {
    marked.line = "…";
    marked.carets = " ";
    ++width;
  }
  for (size_t i = from; i < cells.size(); ++i) {
    if (width + cells[i].width > columns && i > first) {
      marked.line += "…";
      break;
    }
    marked.line += cells[i].text;
    width += cells[i].width;
    if (i < first) marked.carets.append(cells[i].width, ' ');
    if (i >= first && i < last) caret_width += cells[i].width;
  }
  marked.carets.append(std::max(caret_width, 1), '^');
  return marked;
}

class Painter {
 public:
  explicit Painter(bool color) : color_(color) {}
  std::string Bold(const std::string& text) const { return Paint("1", text); }
  std::string Gutter(const std::string& text) const { return Paint("1;34", text); }
  std::string BySeverity(Severity severity, const std::string& text) const {
    return Paint(severity == Severity::kError     ? "1;31"
                 : severity == Severity::kWarning ? "1;33"
                                                  : "1;36",
                 text);
  }

 private:
  std::string Paint(const char* style, const std::string& text) const {
    return color_ ? absl::StrCat("\x1b[", style, "m", text, "\x1b[0m") : text;
  }

  bool color_;
};

const char* SeverityWord(Severity severity) {
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

std::string Block(const std::string& path, const Finding& finding, const LineTable& lines,
                  const TextStyle& style) {
  const Painter paint(style.color);
  const std::string number = std::to_string(std::max(finding.span.line, 1));
  const std::string margin(number.size(), ' ');
  std::string out = absl::StrCat(
      paint.BySeverity(finding.severity,
                       absl::StrCat(SeverityWord(finding.severity), "[", finding.code, "]")),
      paint.Bold(absl::StrCat(": ", Shown(finding.message))), "\n", margin, paint.Gutter("-->"),
      " ", Shown(path), ":", finding.span.line, ":", finding.span.column, "\n");
  const std::string_view line = lines.Line(finding.span.line);
  const std::string bar = absl::StrCat(margin, " ", paint.Gutter("|"));
  if (!line.empty()) {
    const Marked marked =
        MarkLine(line, static_cast<size_t>(std::max(finding.span.column, 1) - 1),
                 static_cast<size_t>(std::max(finding.span.length, 0)),
                 std::max(20, style.columns - static_cast<int>(number.size()) - 3));
    const std::string label = finding.label.empty() ? "" : absl::StrCat(" ", Shown(finding.label));
    absl::StrAppend(&out, bar, "\n", paint.Gutter(number), " ", paint.Gutter("|"), " ", marked.line,
                    "\n", bar, " ",
                    paint.BySeverity(finding.severity, absl::StrCat(marked.carets, label)), "\n");
  } else if (!finding.label.empty()) {
    absl::StrAppend(&out, margin, " ", paint.Gutter("="), " ", Shown(finding.label), "\n");
  }
  if (!finding.help.empty()) {
    absl::StrAppend(&out, margin, " ", paint.Gutter("="), " help: ", Shown(finding.help),
                    finding.fix ? "  (apply: beamline validate --fix)" : "", "\n");
  }
  absl::StrAppend(&out, margin, " ", paint.Gutter("="), " more: beamline explain ", finding.code,
                  "\n");
  return out;
}

}  // namespace

std::string FindingsText(const FileFindings& file, const TextStyle& style) {
  const LineTable lines(file.source);
  std::string out;
  for (const Finding& finding : file.findings) {
    absl::StrAppend(&out, Block(file.path, finding, lines, style), "\n");
  }
  return out;
}

std::string ApplyFixes(std::string_view source, const Findings& findings) {
  const LineTable lines(source);
  struct Edit {
    size_t offset, length;
    const std::string* text;
  };
  std::vector<Edit> edits;
  for (const Finding& finding : findings) {
    if (!finding.fix) continue;
    const size_t offset = lines.Offset(finding.fix->span);
    const auto length = static_cast<size_t>(std::max(finding.fix->span.length, 0));
    if (offset + length <= source.size()) edits.push_back({offset, length, &finding.fix->text});
  }
  std::stable_sort(edits.begin(), edits.end(),
                   [](const Edit& a, const Edit& b) { return a.offset < b.offset; });
  std::string fixed;
  size_t at = 0;
  for (const Edit& edit : edits) {
    if (edit.offset < at) continue;
    fixed.append(source.substr(at, edit.offset - at));
    fixed.append(*edit.text);
    at = edit.offset + edit.length;
  }
  fixed.append(source.substr(at));
  return fixed;
}

}  // namespace beamline::flowspec
