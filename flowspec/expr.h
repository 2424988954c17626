// Expressions: where `${{ jq }}` stands in a value, what it reads, and how a value that holds
// expressions is put together again once they are evaluated. jq itself is in jq.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "flowspec/finding.h"

namespace beamline::flowspec {

// A path that needs no jq: root, then keys (object) or indices (array).
struct PathKey {
  std::string key;  // used if index < 0
  int64_t index = -1;
};
struct PlainPath {
  std::string root;
  std::vector<PathKey> keys;
};

// A key that an expression writes out, and its place.
struct ReadKey {
  PathKey key;
  Span span;
};

// One thing an expression reads: `steps.draft.output.title` is {root "steps", name "draft",
// field "output"}; `inputs.topic` is {"inputs", "topic", ""}; bare `item` is {"item", "", ""}.
struct Reference {
  std::string root;  // inputs vars env run steps item index matrix loop feedback trigger error now,
                     // or the foreach `as` name
  std::string name;  // first key below the root; empty if the root is read whole or dynamically
  std::string field;          // second key below the root, likewise
  Span span;                  // of `name` in the source file (of the root where there is no name)
  bool defaulted = false;     // stands to the left of `| default(…)` or `//`
  std::vector<ReadKey> keys;  // all below the root that are written out, up to one that is computed
};

struct Expression {
  std::string source;  // jq on one line: comments removed, newlines outside strings made spaces
  Span span;           // of the jq text in the file
  std::optional<PlainPath> plain;
  std::vector<Reference> references;
};

// An index into Flow::expressions.
using ExprIndex = int32_t;

// JSON text with holes. Literal pieces are JSON text verbatim; a value hole is filled with the
// JSON text of its expression's result; an interpolated hole stands inside a JSON string literal
// and is filled with the result as text, JSON-escaped (null there is an error).
struct Piece {
  enum class Kind { kText, kValue, kInterpolated };
  Kind kind = Kind::kText;
  std::string text;     // kText
  ExprIndex expr = -1;  // otherwise
};
struct Template {
  std::vector<Piece> pieces;

  bool empty() const { return pieces.empty(); }
  // True if no expression has to be evaluated.
  bool constant() const;
  // The expressions of the holes, each once, in order.
  std::vector<ExprIndex> Holes() const;
};

// JSON text of `t` with its holes filled by `results` (JSON text by expression index).
// InvalidArgument: null was interpolated into text.
absl::StatusOr<std::string> Render(const Template& t,
                                   const std::function<const std::string&(ExprIndex)>& results);

// `text` as a JSON string literal. Bytes that are not UTF-8 become U+FFFD.
std::string QuoteJson(std::string_view text);

// The value at `keys` below `json` (JSON text), as compact JSON text; "null" where a key is
// missing. InvalidArgument: indexing a scalar, or `json` is not JSON. As jq does it: null.x is
// null, "text".x is an error. Numbers keep their digits.
absl::StatusOr<std::string> ReadPath(std::string_view json, const std::vector<PathKey>& keys);

}  // namespace beamline::flowspec
