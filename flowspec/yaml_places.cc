// Where nodes and the bytes of scalars stand in the source, and nodes as JSON text.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "flowspec/yaml.h"

namespace beamline::flowspec {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// One escape of a double-quoted scalar: its bytes in the source and in the value.
struct Escape {
  size_t source;
  size_t value;
};

Escape EscapeAt(std::string_view source, size_t at) {
  const char c = at + 1 < source.size() ? source[at + 1] : ' ';
  const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits > 0) {
    unsigned long point = 0;
    for (size_t i = 0; i < digits && at + 2 + i < source.size(); ++i) {
      const char d = source[at + 2 + i];
      const int digit = absl::ascii_isdigit(d) ? d - '0' : absl::ascii_tolower(d) - 'a' + 10;
      point = point * 16 + static_cast<unsigned long>(digit);
    }
    return {2 + digits, point < 0x80 ? 1u : point < 0x800 ? 2u : point < 0x10000 ? 3u : 4u};
  }
  if (c == '\n' || c == '\r') {  // a continued line: the break and the next indentation vanish
    size_t end = at + 1;
    while (end < source.size() && IsSpace(source[end])) ++end;
    return {end - at, 0};
  }
  const bool wide = c == 'N' || c == '_';  // U+0085 and U+00A0
  const bool wider = c == 'L' || c == 'P';
  return {2, wider ? 3u : wide ? 2u : 1u};
}

void PlaceDoubleQuoted(const Node& node, std::string_view source, std::vector<uint32_t>* places) {
  size_t at = node.offset + 1;
  while (places->size() < node.text.size() && at < source.size()) {
    if (source[at] == '\\') {
      const Escape escape = EscapeAt(source, at);
      places->insert(places->end(), escape.value, static_cast<uint32_t>(at));
      at += escape.source;
    } else if (IsSpace(source[at])) {
      size_t end = at;
      while (end < source.size() && IsSpace(source[end])) ++end;
      const size_t breaks = std::count(source.begin() + at, source.begin() + end, '\n');
      if (breaks == 0) {
        for (; at < end; ++at) places->push_back(at);
      } else {  // folded: one break is a space, more are one line break fewer
        places->insert(places->end(), std::max<size_t>(1, breaks - 1), static_cast<uint32_t>(at));
        at = end;
      }
    } else {
      places->push_back(at++);
    }
  }
}

// In all other styles only white space is laid out anew: the n-th byte of the value that is not
// white space is the n-th such byte of the source.
void PlaceByText(const Node& node, std::string_view source, std::vector<uint32_t>* places) {
  const bool single = node.style == Node::Style::kSingleQuoted;
  size_t at = node.offset;
  if (single) ++at;
  if (node.style == Node::Style::kLiteral || node.style == Node::Style::kFolded) {
    at = std::min(source.find('\n', at), source.size());
  }
  for (char c : node.text) {
    if (IsSpace(c)) {
      places->push_back(at);
      // Stay on the line as long as the layout is the same; re-aligned by the next byte of text.
      if (at < source.size() && source[at] == c && c != '\n') ++at;
      continue;
    }
    while (at < source.size() && IsSpace(source[at])) ++at;
    places->push_back(at);
    at += single && c == '\'' ? 2 : 1;
  }
}

// The bytes that a scalar takes on its first line.
size_t TokenLength(const Node& node, std::string_view source) {
  const std::string_view rest = source.substr(std::min<size_t>(node.offset, source.size()));
  switch (node.style) {
    case Node::Style::kLiteral:
    case Node::Style::kFolded:
      return 1;
    case Node::Style::kPlain: {
      const size_t line = std::min(rest.find('\n'), rest.size());
      return std::min(line, node.text.size());
    }
    case Node::Style::kSingleQuoted:
    case Node::Style::kDoubleQuoted:
      break;
  }
  const char quote = rest.empty() ? ' ' : rest[0];
  for (size_t i = 1; i < rest.size() && rest[i] != '\n'; ++i) {
    if (quote == '"' && rest[i] == '\\') {
      ++i;
    } else if (rest[i] == quote) {
      if (quote == '"' || i + 1 >= rest.size() || rest[i + 1] != quote) return i + 1;
      ++i;
    }
  }
  return std::min(rest.find('\n'), rest.size());
}

}  // namespace

LineTable::LineTable(std::string_view source) : source_(source) {
  starts_.push_back(0);
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\n') starts_.push_back(i + 1);
  }
}

Span LineTable::At(size_t offset, size_t length) const {
  offset = std::min(offset, source_.size());
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const int line = static_cast<int>(next - starts_.begin());
  const size_t start = starts_[line - 1];
  const size_t end = start + Line(line).size();
  const size_t fits = offset < end ? std::min(length, end - offset) : 0;
  return {line, static_cast<int>(offset - start) + 1, static_cast<int>(fits)};
}

size_t LineTable::Offset(const Span& span) const {
  if (span.line < 1 || static_cast<size_t>(span.line) > starts_.size()) return source_.size();
  return std::min<size_t>(source_.size(), starts_[span.line - 1] + std::max(span.column, 1) - 1);
}

std::string_view LineTable::Line(int line) const {
  if (line < 1 || static_cast<size_t>(line) > starts_.size()) return {};
  std::string_view text = source_.substr(starts_[line - 1]);
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return text;
}

Span SpanOf(const Node& node, std::string_view source, const LineTable& lines) {
  if (node.is_map() && !node.entries.empty()) {
    return SpanOf(*node.entries.front().first, source, lines);
  }
  if (!node.is_scalar()) return lines.At(node.offset, 1);
  if (node.kind == Node::Kind::kNull) return lines.At(node.offset, 0);
  return lines.At(node.offset, TokenLength(node, source));
}

ScalarPlaces::ScalarPlaces(const Node& scalar, std::string_view source, const LineTable& lines)
    : lines_(lines) {
  places_.reserve(scalar.text.size() + 1);
  if (scalar.style == Node::Style::kDoubleQuoted) {
    PlaceDoubleQuoted(scalar, source, &places_);
  } else {
    PlaceByText(scalar, source, &places_);
  }
  places_.push_back(places_.empty() ? scalar.offset : places_.back() + 1);
}

Span ScalarPlaces::At(size_t offset, size_t length) const {
  const size_t first = std::min(offset, places_.size() - 1);
  if (length == 0) return lines_.At(places_[first], 0);
  const size_t last = std::min(offset + length - 1, places_.size() - 1);
  const size_t start = places_[first];
  return lines_.At(start, std::max<size_t>(places_[last] + 1, start + 1) - start);
}

void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          absl::StrAppendFormat(out, "\\u%04x", c);
        } else {
          out->push_back(c);
        }
    }
  }
  out->push_back('"');
}

void AppendJson(const Node& node, std::string* out) {
  switch (node.kind) {
    case Node::Kind::kNull:
      *out += "null";
      return;
    case Node::Kind::kBool:
    case Node::Kind::kNumber:
      *out += node.text;
      return;
    case Node::Kind::kString:
      AppendJsonString(node.text, out);
      return;
    case Node::Kind::kList:
    case Node::Kind::kMap:
      break;
  }
  const bool map = node.is_map();
  const char* separator = "";
  out->push_back(map ? '{' : '[');
  for (const auto& [key, value] : node.entries) {
    *out += separator;
    AppendJsonString(key->text, out);
    out->push_back(':');
    AppendJson(*value, out);
    separator = ",";
  }
  for (const NodePtr& item : node.items) {
    *out += separator;
    AppendJson(*item, out);
    separator = ",";
  }
  out->push_back(map ? '}' : ']');
}

std::string JsonOf(const Node& node) {
  std::string json;
  AppendJson(node, &json);
  return json;
}

}  // namespace beamline::flowspec
