// Read anew for each answer: such files are small, and may change between runs.
#include "daemon/exec/llm_recorded.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "daemon/exec/llm_json.h"

namespace beamline::exec {
namespace {

using nlohmann::json;

constexpr size_t kFileBytesMax = 16 << 20;

absl::StatusOr<json> Responses(const std::string& text, const std::string& source) {
  const std::optional<json> value = ParseForeign(text);
  if (!value || !value->is_object() || !value->contains("responses")) {
    return absl::FailedPreconditionError(
        absl::StrCat(source, " holds no recorded answers: {\"responses\": {PATH: […]}}"));
  }
  return ObjectAt(*value, "responses");
}

// "each[3]/ask" → "each/ask".
std::string WithoutItems(const std::string& path) {
  std::string plain;
  int depth = 0;
  for (const char c : path) {
    depth += c == '[' ? 1 : 0;
    if (depth == 0) plain.push_back(c);
    depth -= c == ']' ? 1 : 0;
  }
  return plain;
}

// Element `index` of a list, its last one if it is shorter; anything but a list is its own.
const json& Nth(const json& list, int index) {
  if (!list.is_array() || list.empty()) return list;
  return list[std::min(static_cast<size_t>(index), list.size() - 1)];
}

}  // namespace

absl::StatusOr<std::string> ReadRecording(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::FailedPreconditionError(absl::StrCat("the daemon cannot read ", file));
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() <= kFileBytesMax) return text;
  return absl::FailedPreconditionError(absl::StrCat(file, " is larger than 16 MiB"));
}

absl::StatusOr<LlmAnswer> RecordedAnswer(const std::string& text, const std::string& source,
                                         const std::string& path, int attempt, int round) {
  const absl::StatusOr<json> responses = Responses(text, source);
  if (!responses.ok()) return responses.status();
  auto entries = responses->find(path);
  if (entries == responses->end()) entries = responses->find(WithoutItems(path));
  if (entries == responses->end()) {
    return absl::NotFoundError(absl::StrCat(source, " has no answer for `", path, "`"));
  }
  const json& entry = Nth(Nth(*entries, attempt - 1), round);
  LlmAnswer answer{.stop = "end", .whole = true};
  answer.usage.model = "recorded";
  if (entry.is_string()) {
    answer.text = entry.get<std::string>();
    return answer;
  }
  if (!entry.is_object()) {
    return absl::FailedPreconditionError(
        absl::StrCat(source, ": an answer of `", path, "` is neither a text nor a map"));
  }
  answer.text = entry.contains("json") ? Written(entry["json"]) : TextAt(entry, "text");
  answer.usage.input_tokens = CountAt(ObjectAt(entry, "usage"), "input_tokens");
  answer.usage.output_tokens = CountAt(ObjectAt(entry, "usage"), "output_tokens");
  const json& error = ObjectAt(entry, "error");
  if (!error.empty()) answer.problem = {TextAt(error, "kind"), TextAt(error, "message")};
  return answer;
}

}  // namespace beamline::exec
