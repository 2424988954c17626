// Line by line, so that every complaint can say where.
#include "daemon/exec/step_output.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "daemon/exec/printable.h"

namespace beamline::exec {
namespace {

using nlohmann::json;

constexpr size_t kShownBytesMax = 120;  // of a bad line or a library's complaint

// Whether brackets nest deeper than kJsonDepthMax; looked at before parsing, because printing a
// deep value recurses.
bool IsTooDeep(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kJsonDepthMax) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

absl::StatusOr<json> ParseJson(absl::string_view text) {
  if (IsTooDeep(text)) {
    return absl::InvalidArgumentError(absl::StrCat("nested deeper than ", kJsonDepthMax));
  }
  try {
    return json::parse(text.begin(), text.end());
  } catch (const json::exception& e) {
    absl::string_view why =
        e.what();  // "[json.exception.parse_error.101] parse error at line 1, …"
    if (const size_t end = why.find("] "); end != why.npos) why.remove_prefix(end + 2);
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON: ", PrintableLine(why, kShownBytesMax)));
  }
}

std::string Dump(const json& value) { return value.dump(); }  // REQUIRES: all its text is UTF-8

class LineReader {
 public:
  explicit LineReader(absl::string_view text) : rest_(text) {}
  bool Next(absl::string_view* line) {
    if (rest_.empty()) return false;
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    *line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++number_;
    return true;
  }
  int number() const { return number_; }  // of the line read last, from 1

 private:
  absl::string_view rest_;
  int number_ = 0;
};

absl::Status BadLine(int number, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", why));
}

// Takes a name off the front of `line`; empty if it begins with none.
absl::string_view TakeName(absl::string_view* line) {
  size_t size = 0;
  while (size < line->size() && (absl::ascii_isalpha((*line)[size]) || (*line)[size] == '_' ||
                                 (size > 0 && absl::ascii_isdigit((*line)[size])))) {
    ++size;
  }
  const absl::string_view name = line->substr(0, size);
  line->remove_prefix(size);
  return name;
}

absl::StatusOr<std::string> ReadBlock(absl::string_view word, LineReader* lines) {
  const int first = lines->number();
  std::string value;
  absl::string_view line;
  for (bool is_first = true; lines->Next(&line); is_first = false) {
    if (line == word) return value;
    if (!IsUtf8(line)) return BadLine(lines->number(), "not UTF-8");
    if (!is_first) value.push_back('\n');
    value.append(line.data(), line.size());
  }
  return BadLine(first, absl::StrCat("no line that is just \"", PrintableLine(word, kShownBytesMax),
                                     "\" ends this value"));
}

absl::Status ReadEntry(absl::string_view line, LineReader* lines, json* object) {
  const int number = lines->number();
  if (!IsUtf8(line)) return BadLine(number, "not UTF-8");
  absl::string_view rest = line;
  const std::string name(TakeName(&rest));
  if (!name.empty() && absl::ConsumePrefix(&rest, ":=")) {
    absl::StatusOr<json> value = ParseJson(rest);
    if (!value.ok()) return BadLine(number, value.status().message());
    (*object)[name] = *std::move(value);
    return absl::OkStatus();
  }
  if (!name.empty() && absl::ConsumePrefix(&rest, "=")) {
    (*object)[name] = std::string(rest);
    return absl::OkStatus();
  }
  if (!name.empty() && absl::ConsumePrefix(&rest, "<<") && !rest.empty()) {
    absl::StatusOr<std::string> value = ReadBlock(rest, lines);
    if (!value.ok()) return value.status();
    (*object)[name] = *std::move(value);
    return absl::OkStatus();
  }
  return BadLine(number, absl::StrCat("expected name=value, name:=json or name<<WORD, found \"",
                                      PrintableLine(line, kShownBytesMax), "\""));
}

absl::Status CheckUtf8(absl::string_view stdout_text) {
  if (IsUtf8(stdout_text)) return absl::OkStatus();
  return absl::InvalidArgumentError("stdout is not UTF-8 text; make binary results an artifact");
}

}  // namespace

absl::StatusOr<std::string> ParseStepOutput(absl::string_view text) {
  if (text.size() > kStepOutputBytesMax) {
    return absl::ResourceExhaustedError(
        "more than 16 MiB were written; make large results an artifact");
  }
  json object = json::object();
  LineReader lines(text);
  absl::string_view line;
  while (lines.Next(&line)) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    if (absl::Status read = ReadEntry(line, &lines, &object); !read.ok()) return read;
  }
  return object.empty() ? std::string() : Dump(object);
}

absl::StatusOr<std::string> CaptureText(absl::string_view stdout_text) {
  if (absl::Status utf8 = CheckUtf8(stdout_text); !utf8.ok()) return utf8;
  absl::ConsumeSuffix(&stdout_text, "\n");
  return Dump(json(std::string(stdout_text)));
}

absl::StatusOr<std::string> CaptureLines(absl::string_view stdout_text) {
  if (absl::Status utf8 = CheckUtf8(stdout_text); !utf8.ok()) return utf8;
  json array = json::array();
  LineReader lines(stdout_text);
  absl::string_view line;
  while (lines.Next(&line)) array.push_back(std::string(line));
  return Dump(array);
}

absl::StatusOr<std::string> CaptureJson(absl::string_view stdout_text) {
  if (absl::StripAsciiWhitespace(stdout_text).empty()) {
    return absl::InvalidArgumentError("stdout is empty, not JSON");
  }
  absl::StatusOr<json> value = ParseJson(stdout_text);
  if (!value.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("stdout is ", value.status().message()));
  }
  return Dump(*value);
}

bool IsJson(absl::string_view text) { return json::accept(text.begin(), text.end()); }

}  // namespace beamline::exec
