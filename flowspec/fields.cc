// Typed reads of one map: wrong types, unknown keys, durations, words and ranges are findings.
#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/catalogue.h"
#include "flowspec/reader.h"

namespace beamline::flowspec {
namespace {

struct Unit {
  const char* name;
  absl::Duration length;
};

constexpr double kDaysMax = 3660;

const Unit* FindUnit(std::string_view name) {
  static const Unit kUnits[] = {{"d", absl::Hours(24)},
                                {"h", absl::Hours(1)},
                                {"m", absl::Minutes(1)},
                                {"s", absl::Seconds(1)},
                                {"ms", absl::Milliseconds(1)}};
  for (const Unit& unit : kUnits) {
    if (name == unit.name) return &unit;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> MissingKeys(const Node& map, const std::vector<std::string>& known) {
  std::vector<std::string> missing;
  for (const std::string& key : known) {
    if (map.Find(key) == nullptr) missing.push_back(key);
  }
  return missing;
}

std::optional<absl::Duration> ParseDuration(std::string_view text) {
  absl::Duration sum;
  absl::Duration last = absl::InfiniteDuration();
  if (text.empty() || text.size() > 32) return std::nullopt;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && (absl::ascii_isdigit(text[end]) || text[end] == '.')) ++end;
    double count = 0;
    if (end == i || !absl::SimpleAtod(std::string(text.substr(i, end - i)), &count))
      return std::nullopt;
    size_t stop = end;
    while (stop < text.size() && absl::ascii_islower(text[stop])) ++stop;
    const Unit* unit = FindUnit(text.substr(end, stop - end));
    if (unit == nullptr || unit->length >= last) return std::nullopt;
    last = unit->length;
    sum += count * unit->length;
    i = stop;
  }
  if (sum > absl::Hours(24) * kDaysMax) return std::nullopt;
  return sum;
}

Fields::Fields(Reader& reader, const Node& node, const char* map, std::string what, bool open)
    : reader_(reader), what_(std::move(what)) {
  if (!node.is_map()) {
    reader.WrongType(node, what_, "a map");
    return;
  }
  map_ = &node;
  if (open) return;
  const std::vector<std::string>& known = KeysOf(map);
  for (const auto& [key, value] : node.entries) {
    if (key->text.rfind("x-", 0) == 0) continue;
    if (std::find(known.begin(), known.end(), key->text) != known.end()) continue;
    Finding& finding =
        reader.Unknown("BL0101", "key", key->text, reader.SpanOf(*key), MissingKeys(node, known));
    finding.label = absl::StrCat("not a key of ", what_);
  }
}

const Node* Fields::Get(const char* key) const {
  return map_ == nullptr ? nullptr : map_->Find(key);
}

const Node* Fields::Require(const char* key) {
  if (map_ == nullptr) return nullptr;
  const Node* node = map_->Find(key);
  if (node == nullptr) {
    Finding& finding = reader_.Error("BL0102", *map_, absl::StrCat(what_, " has no `", key, "`"));
    for (const KeyEntry& entry : Keys()) {
      if (std::string_view(entry.key) == key && std::string_view(entry.fallback) == "required" &&
          absl::StrContains(what_, entry.map)) {
        finding.help = absl::StrCat("add it, for example `", entry.example, "`");
        break;
      }
    }
  }
  return node;
}

void Fields::Text(const char* key, std::string* out) {
  const Node* node = Get(key);
  if (node == nullptr) return;
  if (!node->is_scalar() || node->kind == Node::Kind::kNull) {
    reader_.WrongType(*node, absl::StrCat("`", key, "`"), "text");
    return;
  }
  *out = node->text;
}

void Fields::Bool(const char* key, bool* out) {
  const Node* node = Get(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kBool) {
    reader_.WrongType(*node, absl::StrCat("`", key, "`"), "true or false");
    return;
  }
  *out = node->text == "true";
}

void Fields::Int(const char* key, int64_t min, int64_t max, int32_t* out) {
  double number = 0;
  const Node* node = Get(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kNumber || !absl::SimpleAtod(node->text, &number) ||
      number != std::floor(number)) {
    reader_.WrongType(*node, absl::StrCat("`", key, "`"), "a whole number");
    return;
  }
  if (number < static_cast<double>(min) || number > static_cast<double>(max)) {
    reader_.Error("BL0403", *node, absl::StrCat("`", key, "` must be between ", min, " and ", max));
    return;
  }
  *out = static_cast<int32_t>(number);
}

void Fields::Number(const char* key, double min, double max, double* out) {
  const Node* node = Get(key);
  if (node == nullptr) return;
  double number = 0;
  if (node->kind != Node::Kind::kNumber || !absl::SimpleAtod(node->text, &number)) {
    reader_.WrongType(*node, absl::StrCat("`", key, "`"), "a number");
    return;
  }
  if (number < min || number > max) {
    reader_.Error("BL0403", *node, absl::StrCat("`", key, "` must be between ", min, " and ", max));
    return;
  }
  *out = number;
}

void Fields::Duration(const char* key, absl::Duration* out) {
  const Node* node = Get(key);
  if (node == nullptr) return;
  const std::optional<absl::Duration> duration =
      node->is_scalar() ? ParseDuration(node->text) : std::nullopt;
  if (!duration) {
    Finding& finding =
        reader_.Error("BL0401", *node, absl::StrCat("`", key, "` is not a duration"));
    finding.help = "write numbers with units, largest first: 500ms, 30s, 1h30m, 7d";
    return;
  }
  *out = *duration;
}

void Fields::TextList(const char* key, std::vector<std::string>* out) {
  const Node* node = Get(key);
  if (node == nullptr) return;
  if (!node->is_list()) {
    reader_.WrongType(*node, absl::StrCat("`", key, "`"), "a list of text");
    return;
  }
  for (const NodePtr& item : node->items) {
    if (!item->is_scalar() || item->kind == Node::Kind::kNull) {
      reader_.WrongType(*item, absl::StrCat("an item of `", key, "`"), "text");
    } else {
      out->push_back(item->text);
    }
  }
}

int Fields::Word(const char* key, std::initializer_list<const char*> words, int fallback) {
  const Node* node = Get(key);
  if (node == nullptr) return fallback;
  if (!node->is_scalar() || node->kind == Node::Kind::kNull) {
    reader_.WrongType(*node, absl::StrCat("`", key, "`"), "one word");
    return fallback;
  }
  const std::vector<std::string> known(words.begin(), words.end());
  const auto it = std::find(known.begin(), known.end(), node->text);
  if (it != known.end()) return static_cast<int>(it - known.begin());
  Finding& finding = reader_.Unknown("BL0402", absl::StrCat("value of `", key, "`:"), node->text,
                                     reader_.SpanOf(*node), known);
  finding.label = absl::StrCat("one of ", absl::StrJoin(known, ", "));
  return fallback;
}

void Fields::ExactlyOne(std::initializer_list<const char*> keys) {
  if (map_ == nullptr) return;
  const Node* second = nullptr;
  int found = 0;
  for (const auto& [key, value] : map_->entries) {
    if (std::find(keys.begin(), keys.end(), key->text) == keys.end()) continue;
    if (++found == 2) second = key.get();
  }
  if (found == 1) return;
  std::vector<std::string> names;
  for (const char* key : keys) names.push_back(absl::StrCat("`", key, "`"));
  reader_.Error("BL0109", second != nullptr ? *second : *map_,
                absl::StrCat(what_, " wants exactly one of ", absl::StrJoin(names, ", ")));
}

}  // namespace beamline::flowspec
