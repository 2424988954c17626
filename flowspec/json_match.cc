// The recursion is as deep as `wanted`, whose depth the flow format bounds.
#include "flowspec/json_match.h"

#include <nlohmann/json.hpp>

namespace beamline::flowspec {
namespace {

using nlohmann::json;

bool Holds(const json& value, const json& wanted) {
  if (!wanted.is_object() || !value.is_object()) return value == wanted;
  for (const auto& [key, member] : wanted.items()) {
    const auto found = value.find(key);
    if (found == value.end() || !Holds(*found, member)) return false;
  }
  return true;
}

}  // namespace

bool JsonHolds(std::string_view value, std::string_view wanted) {
  const json a = json::parse(value, nullptr, /*allow_exceptions=*/false);
  const json b = json::parse(wanted, nullptr, /*allow_exceptions=*/false);
  return !a.is_discarded() && !b.is_discarded() && Holds(a, b);
}

}  // namespace beamline::flowspec
