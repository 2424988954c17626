// JSON of providers, read without trust.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace beamline::exec {

// What a stranger sent; nothing if it is no JSON, or nests deeper than flowspec::kJsonDepthMax.
std::optional<nlohmann::json> ParseForeign(const std::string& text);
// What the flow says. REQUIRES: JSON.
nlohmann::json ParseOwn(const std::string& text);
// As text; bytes that are not UTF-8 are replaced.
std::string Written(const nlohmann::json& value);

// The text at `key`; "" if there is none.
std::string TextAt(const nlohmann::json& object, const char* key);
// The object at `key`; an empty one if there is none.
const nlohmann::json& ObjectAt(const nlohmann::json& object, const char* key);
// The number at `key`, 0 if there is none that makes sense as a count.
int64_t CountAt(const nlohmann::json& object, const char* key);

}  // namespace beamline::exec
