// Missing and misshapen values become empty ones: a provider may add and leave out what it likes.
#include "daemon/exec/llm_json.h"

#include <nlohmann/json.hpp>

#include "flowspec/json_text.h"

namespace beamline::exec {

using nlohmann::json;

std::optional<json> ParseForeign(const std::string& text) {
  if (!flowspec::CheckJson(text).ok()) return std::nullopt;
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

json ParseOwn(const std::string& text) { return json::parse(text); }

std::string Written(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_string() ? "" : found->get<std::string>();
}

const json& ObjectAt(const json& object, const char* key) {
  static const json kEmpty = json::object();
  const auto found = object.find(key);
  return found == object.end() || !found->is_object() ? kEmpty : *found;
}

int64_t CountAt(const json& object, const char* key) {
  constexpr double kCountMax = 1e15;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return 0;
  const double count = found->get<double>();
  return count > 0 && count < kCountMax ? static_cast<int64_t>(count) : 0;
}

}  // namespace beamline::exec
