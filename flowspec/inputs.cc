// Every violation at once, in order of declaration.
#include "flowspec/inputs.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/value_schema.h"

namespace beamline::flowspec {
namespace {

// Names given, with their values. Keys are compared unescaped; input names need no escapes.
using Given = std::vector<std::pair<std::string, std::string_view>>;

Given Members(std::string_view json) {
  Given given;
  for (const auto& [key, value] : ObjectMembers(json)) {
    given.emplace_back(std::string(key.substr(1, key.size() - 2)), value);
  }
  return given;
}

void CheckNames(const Flow& flow, const Given& given, CheckedInputs* out) {
  std::vector<std::string> names;
  for (const Input& input : flow.inputs) names.push_back(input.name);
  for (const auto& [name, value] : given) {
    bool known = false;
    for (const std::string& candidate : names) known = known || candidate == name;
    if (known) continue;
    const std::string near = DidYouMean(name, names);
    out->violations.push_back(
        {name, absl::StrCat("flow `", flow.name, "` has no such input",
                            near.empty() ? "" : absl::StrCat("; did you mean `", near, "`?"))});
  }
}

}  // namespace

CheckedInputs CheckInputs(const Flow& flow, std::string_view json) {
  CheckedInputs out;
  if (!CheckJson(json).ok() || JsonKind(json) != '{') {
    out.violations.push_back({"", "inputs must be one JSON object"});
    return out;
  }
  const Given given = Members(json);
  CheckNames(flow, given, &out);
  absl::flat_hash_map<std::string, std::string_view> values;
  for (const auto& [name, value] : given) values[name] = value;
  out.json = "{";
  for (const Input& input : flow.inputs) {
    auto found = values.find(input.name);
    std::string value = found == values.end() ? input.default_json : std::string(found->second);
    if (value.empty()) {
      out.violations.push_back({input.name, "required and not given"});
      continue;
    }
    for (const std::string& problem : CheckValue(input.schema, value)) {
      // A schema's complaint may quote the value.
      out.violations.push_back(
          {input.name, input.sensitive ? "does not satisfy the input's schema" : problem});
    }
    absl::StrAppend(&out.json, out.json.size() > 1 ? "," : "", QuoteJson(input.name), ":");
    if (input.sensitive) {
      absl::StrAppend(&out.json, "{\"sensitive\":", QuoteJson(input.name), "}");
      out.sensitive.emplace_back(input.name, std::move(value));
    } else {
      out.json += value;
    }
  }
  out.json += "}";
  return out;
}

}  // namespace beamline::flowspec
