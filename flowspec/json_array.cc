// Walks the top level of JSON text that is known to be valid.
#include "flowspec/json_array.h"

#include "absl/strings/ascii.h"

namespace beamline::flowspec {
namespace {

size_t SkipSpace(std::string_view json, size_t at) {
  while (at < json.size() && absl::ascii_isspace(static_cast<unsigned char>(json[at]))) ++at;
  return at;
}

size_t SkipString(std::string_view json, size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return at + 1;
}

// The end of the value at `at`.
size_t SkipValue(std::string_view json, size_t at) {
  int depth = 0;
  while (at < json.size()) {
    const char c = json[at];
    if (c == '"') {
      at = SkipString(json, at);
      if (depth == 0) return at;
      continue;
    }
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    }
    if (depth == 0 && (c == ',' || c == ':' || absl::ascii_isspace(static_cast<unsigned char>(c))))
      return at;
    ++at;
  }
  return at;
}

}  // namespace

std::vector<std::string_view> ArrayElements(std::string_view json) {
  std::vector<std::string_view> elements;
  size_t at = SkipSpace(json, 0);
  if (at >= json.size() || json[at] != '[') return elements;
  at = SkipSpace(json, at + 1);
  while (at < json.size() && json[at] != ']') {
    const size_t end = SkipValue(json, at);
    elements.push_back(json.substr(at, end - at));
    at = SkipSpace(json, end);
    if (at < json.size() && json[at] == ',') at = SkipSpace(json, at + 1);
  }
  return elements;
}

std::vector<std::pair<std::string_view, std::string_view>> ObjectMembers(std::string_view json) {
  std::vector<std::pair<std::string_view, std::string_view>> members;
  size_t at = SkipSpace(json, 0);
  if (at >= json.size() || json[at] != '{') return members;
  at = SkipSpace(json, at + 1);
  while (at < json.size() && json[at] != '}') {
    const size_t key_end = SkipString(json, at);
    const std::string_view key = json.substr(at, key_end - at);
    at = SkipSpace(json, SkipSpace(json, key_end) + 1);
    const size_t end = SkipValue(json, at);
    members.emplace_back(key, json.substr(at, end - at));
    at = SkipSpace(json, end);
    if (at < json.size() && json[at] == ',') at = SkipSpace(json, at + 1);
  }
  return members;
}

char JsonKind(std::string_view json) {
  const size_t at = SkipSpace(json, 0);
  if (at >= json.size()) return 'n';
  const char c = json[at];
  return c == '-' || absl::ascii_isdigit(static_cast<unsigned char>(c)) ? '0' : c;
}

}  // namespace beamline::flowspec
