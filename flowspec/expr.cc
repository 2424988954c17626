// Templates: JSON text with holes for the results of expressions.
#include "flowspec/expr.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

// Length of the UTF-8 sequence that starts `text`, 0 if it is none (overlong forms, surrogates
// and what lies beyond U+10FFFF included).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t n = first < 0x80   ? 1
                   : first < 0xC2 ? 0
                   : first < 0xE0 ? 2
                   : first < 0xF0 ? 3
                   : first < 0xF5 ? 4
                                  : 0;
  if (n == 0 || n > text.size()) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && byte(1) < 0xA0) return 0;
  if (first == 0xED && byte(1) >= 0xA0) return 0;
  if (first == 0xF0 && byte(1) < 0x90) return 0;
  if (first == 0xF4 && byte(1) >= 0x90) return 0;
  return n;
}

}  // namespace

bool Template::constant() const {
  return std::all_of(pieces.begin(), pieces.end(),
                     [](const Piece& piece) { return piece.kind == Piece::Kind::kText; });
}

std::vector<ExprIndex> Template::Holes() const {
  std::vector<ExprIndex> holes;
  for (const Piece& piece : pieces) {
    if (piece.kind == Piece::Kind::kText) continue;
    if (std::find(holes.begin(), holes.end(), piece.expr) == holes.end()) {
      holes.push_back(piece.expr);
    }
  }
  return holes;
}

absl::StatusOr<std::string> Render(const Template& t,
                                   const std::function<const std::string&(ExprIndex)>& results) {
  std::string json;
  for (const Piece& piece : t.pieces) {
    if (piece.kind == Piece::Kind::kText) {
      json += piece.text;
      continue;
    }
    const std::string& result = results(piece.expr);
    if (piece.kind == Piece::Kind::kValue) {
      json += result;
    } else if (result == "null") {
      return absl::InvalidArgumentError(
          "null stands inside text; give it a value with `| default(\"…\")`");
    } else if (result.size() >= 2 && result.front() == '"') {
      json.append(result, 1, result.size() - 2);  // escaped already
    } else {
      const std::string quoted = QuoteJson(result);
      json.append(quoted, 1, quoted.size() - 2);
    }
  }
  return json;
}

std::string QuoteJson(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  while (!text.empty()) {
    const unsigned char c = static_cast<unsigned char>(text[0]);
    const size_t n = Utf8Length(text);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppend(&out, "\\u", absl::Hex(static_cast<unsigned>(c), absl::kZeroPad4));
    } else {
      out.append(text.substr(0, n));
    }
    text.remove_prefix(n == 0 ? 1 : n);
  }
  out += '"';
  return out;
}

}  // namespace beamline::flowspec
