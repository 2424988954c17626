// Inputs are judged by name; by value where they are constants.
#include "flowspec/check_uses.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/shape.h"
#include "flowspec/value_schema.h"

namespace beamline::flowspec {
namespace {

Finding& Add(const char* code, const Step& step, std::string message, Findings* findings) {
  Finding& finding = findings->emplace_back();
  finding.code = code;
  finding.span = step.span;
  finding.message = std::move(message);
  return finding;
}

void CheckGiven(const Flow& child, const Step& step, const std::string& uses, Findings* findings) {
  const std::string inputs = BodyMember(step.input, "inputs");
  std::vector<std::string> given, declared;
  for (const auto& [key, value] : ObjectMembers(inputs)) given.push_back(UnquoteJson(key));
  for (const Input& input : child.inputs) {
    declared.push_back(input.name);
    bool found = false;
    for (const std::string& name : given) found = found || name == input.name;
    if (found || !input.default_json.empty()) continue;
    Add("BL0409", step, absl::StrCat("`", uses, "` needs the input `", input.name, "`"), findings)
        .help = absl::StrCat("give it: `inputs: {", input.name, ": …}`");
  }
  for (const std::string& name : given) {
    bool found = false;
    for (const std::string& known : declared) found = found || known == name;
    if (found) continue;
    Finding& finding =
        Add("BL0409", step, absl::StrCat("`", uses, "` has no input `", name, "`"), findings);
    const std::string nearest = DidYouMean(name, declared);
    if (!nearest.empty()) finding.help = absl::StrCat("did you mean `", nearest, "`?");
  }
  if (!step.input.constant()) return;
  for (const auto& [key, value] : ObjectMembers(inputs)) {
    for (const Input& input : child.inputs) {
      if (UnquoteJson(key) != input.name) continue;
      const std::vector<std::string> wrong = CheckValue(input.schema, value);
      if (wrong.empty()) continue;
      Add("BL0409", step,
          absl::StrCat("input `", input.name, "` of `", uses,
                       "`: ", input.sensitive ? "does not satisfy its schema" : wrong.front()),
          findings);
    }
  }
}

}  // namespace

void CheckUses(const Flow& flow, const ChildFlows& children, Findings* findings) {
  if (!children) return;
  for (const Step& step : flow.steps) {
    if (step.kind != StepKind::kFlow) continue;
    const std::string json = BodyMember(step.input, "uses");
    if (json.empty() || json.front() != '"') continue;
    const std::string uses = UnquoteJson(json);
    const ChildFlow child = children(uses);
    if (child.recursive) {
      Finding& finding =
          Add("BL0602", step, absl::StrCat("`", uses, "` leads back to itself"), findings);
      finding.severity = Severity::kNote;
      finding.help = "give the step an `if` that ends it; runs nest at most 16 deep";
    } else if (!child.problem.empty()) {
      Add("BL0410", step, absl::StrCat("`", uses, "` cannot be used"), findings).label =
          child.problem;
    } else if (child.flow != nullptr) {
      CheckGiven(*child.flow, step, uses, findings);
    }
  }
}

}  // namespace beamline::flowspec
