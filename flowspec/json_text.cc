// One pass, no allocation but for the result. Of equal keys the last one counts, as jq has it.
#include "flowspec/json_text.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

class Reader {
 public:
  // What stands at the path.
  enum class Outcome { kMissing, kFound, kCannotIndex };

  Reader(std::string_view json, const std::vector<PathKey>& keys) : json_(json), keys_(keys) {}

  absl::Status Run() {
    SkipSpace();
    Value(0, 0);
    SkipSpace();
    if (too_deep_) {
      return absl::InvalidArgumentError(
          absl::StrCat("the JSON nests deeper than ", kJsonDepthMax, " levels"));
    }
    if (failed_ || at_ != json_.size()) {
      return absl::InvalidArgumentError(absl::StrCat("not JSON at byte ", at_));
    }
    return absl::OkStatus();
  }

  Outcome outcome() const { return outcome_; }
  std::string_view slice() const { return slice_; }
  // Of a kCannotIndex: the kind of value, and the key's place in the path.
  std::string_view kind() const { return kind_; }
  size_t failed_key() const { return failed_key_; }

  // Appends what the JSON string body `raw` means.
  static void Unescape(std::string_view raw, std::string* text);

 private:
  static constexpr size_t kOffPath = static_cast<size_t>(-1);

  char Peek() const { return at_ < json_.size() ? json_[at_] : '\0'; }
  bool Fail() {
    failed_ = true;
    return false;
  }
  bool Expect(char c) {
    if (Peek() != c) return Fail();
    ++at_;
    return true;
  }
  void SkipSpace() {
    while (at_ < json_.size() &&
           (json_[at_] == ' ' || json_[at_] == '\n' || json_[at_] == '\t' || json_[at_] == '\r')) {
      ++at_;
    }
  }

  // Reads a value. `key` is the first key of the path that is still to be applied to it, or
  // kOffPath.
  bool Value(size_t key, int depth) {
    if (depth > kJsonDepthMax) {
      too_deep_ = true;
      return Fail();
    }
    const size_t start = at_;
    const bool target = key == keys_.size();
    if (!Any(target ? kOffPath : key, depth)) return false;
    if (target) {
      outcome_ = Outcome::kFound;
      slice_ = json_.substr(start, at_ - start);
    }
    return true;
  }

  bool Any(size_t key, int depth) {
    switch (Peek()) {
      case '{':
        return Object(key, depth);
      case '[':
        return Array(key, depth);
      case '"':
        return Scalar(key, "a string") && String();
      case 't':
        return Scalar(key, "a boolean") && Word("true");
      case 'f':
        return Scalar(key, "a boolean") && Word("false");
      case 'n':
        Enter(key);  // a key of null is null
        return Word("null");
      default:
        return Scalar(key, "a number") && Number();
    }
  }

  // Notes that the path goes on below the value: what was found before under an equal key is void.
  void Enter(size_t key) {
    if (key != kOffPath) outcome_ = Outcome::kMissing;
  }
  void CannotIndex(size_t key, std::string_view kind) {
    outcome_ = Outcome::kCannotIndex;
    kind_ = kind;
    failed_key_ = key;
  }
  bool Scalar(size_t key, std::string_view kind) {
    if (key != kOffPath) CannotIndex(key, kind);
    return true;
  }

  bool Object(size_t key, int depth) {
    Enter(key);
    const bool by_index = key != kOffPath && keys_[key].index >= 0;
    if (by_index) CannotIndex(key, "an object");
    ++at_;
    SkipSpace();
    if (Peek() == '}') return Expect('}');
    while (true) {
      const size_t name = at_ + 1;
      if (!String()) return false;
      const std::string_view raw = json_.substr(name, at_ - 1 - name);
      SkipSpace();
      if (!Expect(':')) return false;
      SkipSpace();
      const bool match = key != kOffPath && !by_index && KeyEquals(raw, keys_[key].key);
      if (!Value(match ? key + 1 : kOffPath, depth + 1)) return false;
      SkipSpace();
      if (Peek() != ',') return Expect('}');
      ++at_;
      SkipSpace();
    }
  }

  bool Array(size_t key, int depth) {
    Enter(key);
    const bool by_name = key != kOffPath && keys_[key].index < 0;
    if (by_name) CannotIndex(key, "an array");
    ++at_;
    SkipSpace();
    if (Peek() == ']') return Expect(']');
    for (int64_t i = 0;; ++i) {
      const bool match = key != kOffPath && !by_name && keys_[key].index == i;
      if (!Value(match ? key + 1 : kOffPath, depth + 1)) return false;
      SkipSpace();
      if (Peek() != ',') return Expect(']');
      ++at_;
      SkipSpace();
    }
  }

  bool Word(std::string_view word) {
    if (json_.substr(at_, word.size()) != word) return Fail();
    at_ += word.size();
    return true;
  }

  bool String() {
    if (!Expect('"')) return false;
    while (at_ < json_.size()) {
      const unsigned char c = static_cast<unsigned char>(json_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c < 0x20) return Fail();
      if (c == '\\' && !Escape()) return false;
      ++at_;
    }
    return Fail();
  }

  // Leaves at_ on the escape's last byte.
  bool Escape() {
    ++at_;
    if (Peek() == 'u') {
      for (int i = 0; i < 4; ++i) {
        ++at_;
        if (!absl::ascii_isxdigit(static_cast<unsigned char>(Peek()))) return Fail();
      }
      return true;
    }
    if (at_ >= json_.size() ||
        std::string_view("\"\\/bfnrt").find(Peek()) == std::string_view::npos) {
      return Fail();
    }
    return true;
  }

  bool Digits() {
    if (!absl::ascii_isdigit(Peek())) return Fail();
    while (absl::ascii_isdigit(Peek())) ++at_;
    return true;
  }

  bool Number() {
    if (Peek() == '-') ++at_;
    if (Peek() == '0') {
      ++at_;
    } else if (!Digits()) {
      return false;
    }
    if (Peek() == '.') {
      ++at_;
      if (!Digits()) return false;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (!Digits()) return false;
    }
    return true;
  }

  // Whether the JSON string body `raw` means `key`.
  static bool KeyEquals(std::string_view raw, std::string_view key) {
    if (raw.find('\\') == std::string_view::npos) return raw == key;
    std::string text;
    Unescape(raw, &text);
    return text == key;
  }

  std::string_view json_;
  const std::vector<PathKey>& keys_;
  size_t at_ = 0;
  bool failed_ = false;
  bool too_deep_ = false;
  Outcome outcome_ = Outcome::kMissing;
  std::string_view slice_;
  std::string_view kind_;
  size_t failed_key_ = 0;
};

uint32_t HexDigits(std::string_view four) {
  uint32_t value = 0;
  for (char c : four) {
    value = value * 16 + (absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10);
  }
  return value;
}

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += static_cast<char>(0xC0 | c >> 6);
    *out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *out += static_cast<char>(0xE0 | c >> 12);
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | c >> 18);
    *out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// `raw` was checked by String().
void Reader::Unescape(std::string_view raw, std::string* text) {
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      *text += raw[i];
      continue;
    }
    const char c = raw[++i];
    constexpr std::string_view kFrom = "bfnrt";
    constexpr std::string_view kTo = "\b\f\n\r\t";
    if (const size_t p = kFrom.find(c); p != std::string_view::npos) {
      *text += kTo[p];
    } else if (c != 'u') {
      *text += c;
    } else {
      uint32_t code = HexDigits(raw.substr(i + 1, 4));
      i += 4;
      if (code >= 0xD800 && code < 0xDC00 && raw.substr(i + 1, 2) == "\\u") {
        const uint32_t low = HexDigits(raw.substr(i + 3, 4));
        if (low >= 0xDC00 && low < 0xE000) {
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          i += 6;
        }
      }
      AppendUtf8(code, text);
    }
  }
}

// `json` without the white space between its words.
std::string Compact(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') {
      out += c;
      out += json[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || !absl::ascii_isspace(c)) out += c;
  }
  return out;
}

}  // namespace

absl::Status CheckJson(std::string_view json) {
  const std::vector<PathKey> whole;
  return Reader(json, whole).Run();
}

std::string UnquoteJson(std::string_view literal) {
  std::string text;
  if (literal.size() >= 2) Reader::Unescape(literal.substr(1, literal.size() - 2), &text);
  return text;
}

absl::StatusOr<std::string> ReadPath(std::string_view json, const std::vector<PathKey>& keys) {
  Reader reader(json, keys);
  if (absl::Status status = reader.Run(); !status.ok()) return status;
  switch (reader.outcome()) {
    case Reader::Outcome::kMissing:
      return "null";
    case Reader::Outcome::kFound:
      return Compact(reader.slice());
    case Reader::Outcome::kCannotIndex:
      break;
  }
  const PathKey& key = keys[reader.failed_key()];
  return absl::InvalidArgumentError(absl::StrCat(
      "cannot read ", key.index < 0 ? QuoteJson(key.key) : absl::StrCat("[", key.index, "]"),
      " of ", std::string(reader.kind())));
}

}  // namespace beamline::flowspec
