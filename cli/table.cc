// Lays out rows in columns; see output.h.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/output.h"

namespace beamline::cli {
namespace {

constexpr int kGap = 2;
// A column that gives way keeps at least this much.
constexpr int kShrunkMin = 8;

std::string Aligned(const std::string& text, int width, bool right, bool last) {
  const std::string cut = CutToWidth(text, width);
  if (right) return PadLeft(cut, width);
  return last ? cut : PadRight(cut, width);
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::Add(std::vector<Cell> row) {
  row.resize(columns_.size());
  for (Cell& cell : row) cell.text = Printable(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<int> Table::Widths(const Stream& stream, int width) const {
  std::vector<int> widths(columns_.size());
  for (size_t c = 0; c < columns_.size(); ++c) {
    widths[c] = DisplayWidth(columns_[c].title);
    for (const auto& row : rows_) widths[c] = std::max(widths[c], DisplayWidth(row[c].text));
  }
  if (!stream.tty) return widths;
  int excess = std::accumulate(widths.begin(), widths.end(), 0) - width +
               kGap * (static_cast<int>(widths.size()) - 1);
  // The widest of the columns that may shrink gives way first, so that they end up alike.
  while (excess > 0) {
    int* widest = nullptr;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (columns_[c].shrink && widths[c] > kShrunkMin && (!widest || widths[c] > *widest)) {
        widest = &widths[c];
      }
    }
    if (widest == nullptr) break;
    --*widest;
    --excess;
  }
  return widths;
}

std::string Table::Render(const Stream& stream, int width) const {
  const std::vector<int> widths = Widths(stream, width);
  std::string text;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const bool last = c + 1 == columns_.size();
      const Cell cell = cell_of(c);
      const std::string aligned = Aligned(cell.text, widths[c], columns_[c].right, last);
      absl::StrAppend(&line, c > 0 ? std::string(kGap, ' ') : "",
                      Paint(stream.color, cell.ink, aligned));
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  };
  add_line([&](size_t c) { return Cell{columns_[c].title, Ink::kDim}; });
  for (const auto& row : rows_) {
    add_line([&](size_t c) { return row[c]; });
  }
  return text;
}

void Table::Print(const Context& context) const {
  context.out.Write(Render(context.out, context.width));
}

}  // namespace beamline::cli
