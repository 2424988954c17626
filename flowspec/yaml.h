// YAML 1.2 text as our own small tree, with the place of every node and every byte of a scalar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flowspec/finding.h"

namespace beamline::flowspec {

struct Node;
// Shared, since an alias stands for the node of its anchor; immutable once parsed.
using NodePtr = std::shared_ptr<const Node>;

// Plain scalars are typed by the YAML 1.2 core schema, narrowed to what JSON can hold verbatim:
// null and ~, true and false (also True, TRUE, …), JSON numbers. Everything else is a string:
// yes, on, 017, 0x1f, .inf.
struct Node {
  enum class Kind { kNull, kBool, kNumber, kString, kList, kMap };
  enum class Style { kPlain, kSingleQuoted, kDoubleQuoted, kLiteral, kFolded };

  Kind kind = Kind::kNull;
  Style style = Style::kPlain;
  std::string text;                                  // of a scalar
  std::vector<NodePtr> items;                        // of a list
  std::vector<std::pair<NodePtr, NodePtr>> entries;  // of a map; the keys are scalars
  uint32_t offset = 0;                               // of the first byte in the source
  // What a walk over this node visits, aliases followed.
  size_t nodes = 1;
  size_t bytes = 0;

  bool is_map() const { return kind == Kind::kMap; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_scalar() const { return !is_map() && !is_list(); }
  // The value under `key` of a map; null if there is none, or this is no map.
  const Node* Find(std::string_view key) const;
};

// "a list", "text", … as messages name it.
const char* NodeKindName(Node::Kind kind);

// Lines of a text: byte offsets to spans and back. Borrows `source`.
class LineTable {
 public:
  explicit LineTable(std::string_view source);
  // The span of `length` bytes from `offset`, cut at the end of its line.
  Span At(size_t offset, size_t length) const;
  // The byte offset of a span's start; the source's size for a place outside.
  size_t Offset(const Span& span) const;
  // Line `line` (from 1) without its line break; empty outside.
  std::string_view Line(int line) const;

 private:
  std::string_view source_;
  std::vector<uint32_t> starts_;
};

// Limits of the format.
inline constexpr size_t kSourceBytesMax = size_t{1} << 20;
inline constexpr size_t kDepthMax = 64;
inline constexpr size_t kAliasNodesMax = 10'000;
inline constexpr size_t kAliasBytesMax = size_t{1} << 20;

// The one document of `source`, or null after an error finding. Bounded in memory and time
// whatever `source` is.
NodePtr ParseYaml(std::string_view source, const LineTable& lines, Findings* findings);

// Where a node stands: a scalar's text (with its quotes), a map's first key, a list's first byte.
Span SpanOf(const Node& node, std::string_view source, const LineTable& lines);

// Maps offsets within one scalar's value to the source, through quotes, escapes, folding and
// block indentation. Linear in the scalar once, then constant. Borrows its arguments.
class ScalarPlaces {
 public:
  ScalarPlaces(const Node& scalar, std::string_view source, const LineTable& lines);
  Span At(size_t offset, size_t length) const;

 private:
  const LineTable& lines_;
  std::vector<uint32_t> places_;  // source offset of each byte of the value, and of its end
};

// `text` as a JSON string, quotes included.
void AppendJsonString(std::string_view text, std::string* out);
// `node` as compact JSON text; scalars keep their digits.
void AppendJson(const Node& node, std::string* out);
std::string JsonOf(const Node& node);

}  // namespace beamline::flowspec
