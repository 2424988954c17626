// Short values on one line, long ones cut, texts by diff(1).
#include "cli/value_change_text.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/text.h"
#include "cli/text_diff.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"

namespace beamline::cli {
namespace {

constexpr int kValueWidthMin = 16;
constexpr size_t kDiffLinesMax = 30;  // of one text
constexpr size_t kTextsMax = 10;      // that are compared line by line: each runs diff(1)

// The text that the JSON string is, with more than one line; nothing for anything else.
std::optional<std::string> LongText(const std::optional<std::string>& json) {
  if (!json || flowspec::JsonKind(*json) != '"' || !absl::StrContains(*json, "\\n")) {
    return std::nullopt;
  }
  std::string text = flowspec::UnquoteJson(*json);
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

// The path and two blanks; nothing before the value as a whole.
std::string PathText(const ValueChange& change) {
  return change.path == "." ? "" : absl::StrCat(Printable(change.path), "  ");
}

std::string OneLine(const ValueChange& change, bool color, int width) {
  const std::string path = PathText(change);
  const int room = width - DisplayWidth(path) - 5;
  const auto value = [&](const std::string& json, Ink ink, int share) {
    return Paint(color, ink, CutToWidth(Printable(json), std::max(share, kValueWidthMin)));
  };
  if (!change.from) return absl::StrCat("+ ", path, value(*change.to, Ink::kGreen, room));
  if (!change.to) return absl::StrCat("- ", path, value(*change.from, Ink::kRed, room));
  return absl::StrCat(path, value(*change.from, Ink::kRed, room / 2), " → ",
                      value(*change.to, Ink::kGreen, room / 2));
}

}  // namespace

std::vector<std::string> ValueChangeLines(const std::vector<ValueChange>& changes, size_t left_out,
                                          bool color, int width) {
  std::vector<std::string> lines;
  size_t texts = 0;
  for (const ValueChange& change : changes) {
    const std::optional<std::string> from = LongText(change.from), to = LongText(change.to);
    std::optional<std::string> diff;
    if (from && to && ++texts <= kTextsMax) diff = UnifiedDiff({"from", *from}, {"to", *to}, false);
    if (!diff || diff->empty()) {
      lines.push_back(OneLine(change, color, width));
      continue;
    }
    if (change.path != ".") lines.push_back(Printable(change.path));
    std::vector<std::string> below = DiffLines(*diff, color);
    below.erase(below.begin(), below.begin() + std::min<ptrdiff_t>(2, std::ssize(below)));
    const size_t shown = std::min(below.size(), kDiffLinesMax);
    lines.insert(lines.end(), below.begin(), below.begin() + static_cast<ptrdiff_t>(shown));
    if (below.size() > shown) {
      lines.push_back(Paint(color, Ink::kDim, absl::StrCat("… ", below.size() - shown, " more")));
    }
  }
  if (left_out > 0) {
    lines.push_back(Paint(color, Ink::kDim, absl::StrCat("… and ", left_out, " more")));
  }
  return lines;
}

std::vector<std::string> DiffLines(const std::string& diff, bool color) {
  std::vector<std::string> lines;
  for (const absl::string_view raw : absl::StrSplit(diff, '\n')) {
    const std::string line(raw);
    const bool header = absl::StartsWith(line, "---") || absl::StartsWith(line, "+++");
    const Ink ink = line.empty()                  ? Ink::kPlain
                    : header                      ? Ink::kBold
                    : line[0] == '+'              ? Ink::kGreen
                    : line[0] == '-'              ? Ink::kRed
                    : absl::StartsWith(line, "@") ? Ink::kCyan
                                                  : Ink::kPlain;
    lines.push_back(Paint(color, ink, Printable(line)));
  }
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

}  // namespace beamline::cli
