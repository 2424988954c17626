// Reads inputs; see inputs.h.
#include "cli/inputs.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/flow_file.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/run_json.h"
#include "flowspec/inputs.h"
#include "flowspec/json_text.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

constexpr size_t kFileBytesMax = 4 << 20;  // what one call of the daemon may carry

// JSON text by name, in the order of first mention.
using Values = std::vector<std::pair<std::string, std::string>>;

void Set(Values* values, const std::string& name, std::string json) {
  auto at = std::find_if(values->begin(), values->end(),
                         [&](const auto& value) { return value.first == name; });
  if (at != values->end())
    at->second = std::move(json);
  else
    values->emplace_back(name, std::move(json));
}

std::string ObjectOf(const Values& values) {
  return absl::StrCat("{",
                      absl::StrJoin(values, ",",
                                    [](std::string* out, const auto& value) {
                                      absl::StrAppend(out, QuoteJson(value.first), ":",
                                                      value.second);
                                    }),
                      "}");
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  std::string text;
  text.resize(kFileBytesMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() <= kFileBytesMax) return text;
  return absl::InvalidArgumentError(absl::StrCat(path, " is larger than 4 MiB"));
}

const flowspec::Input* FindInput(const flowspec::Flow& flow, const std::string& name) {
  for (const flowspec::Input& input : flow.inputs) {
    if (input.name == name) return &input;
  }
  return nullptr;
}

// `text` as JSON of the type that the input has. Text that is no such value stays text, so that
// the check of the inputs says what is wanted.
std::string TypedJson(const flowspec::Input* input, const std::string& text) {
  using flowspec::InputType;
  const bool is_text =
      input == nullptr || input->type == InputType::kString || input->type == InputType::kAny;
  if (!is_text && flowspec::CheckJson(text).ok()) return text;
  return QuoteJson(text);
}

absl::Status AddPair(const flowspec::Flow& flow, const std::string& pair, Values* values) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos || equals == 0 || (equals == 1 && pair[0] == ':')) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", pair, "` is no input: write name=text, name:=json or name=@file"));
  }
  const bool json = pair[equals - 1] == ':';
  const std::string name = pair.substr(0, json ? equals - 1 : equals);
  std::string text = pair.substr(equals + 1);
  if (!text.empty() && text[0] == '@') {
    absl::StatusOr<std::string> content = ReadFile(text.substr(1));
    if (!content.ok()) return content.status();
    text = *std::move(content);
  }
  if (!json) {
    Set(values, name, TypedJson(FindInput(flow, name), text));
    return absl::OkStatus();
  }
  if (absl::Status status = flowspec::CheckJson(text); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the value of `", name, "` is not JSON: ", status.message()));
  }
  Set(values, name, std::move(text));
  return absl::OkStatus();
}

absl::Status AddFile(const std::string& path, Values* values) {
  absl::StatusOr<SourceFile> source = ReadSource(path);
  if (!source.ok()) return absl::InvalidArgumentError(source.status().message());
  const flowspec::LineTable lines(source->text);
  flowspec::Findings findings;
  flowspec::NodePtr root = flowspec::ParseYaml(source->text, lines, &findings);  // JSON is YAML
  if (root == nullptr || !root->is_map()) {
    std::string why = findings.empty()
                          ? "it is no map of names to values"
                          : absl::StrCat("line ", findings[0].span.line, ": ", findings[0].message);
    return absl::InvalidArgumentError(absl::StrCat(source->name, ": ", why));
  }
  for (const auto& [key, value] : root->entries) Set(values, key->text, flowspec::JsonOf(*value));
  return absl::OkStatus();
}

absl::StatusOr<Values> ReadValues(const flowspec::Flow& flow, const InputSources& sources) {
  Values values;
  if (!sources.file.empty()) {
    if (absl::Status status = AddFile(sources.file, &values); !status.ok()) return status;
  }
  for (const std::string& pair : sources.pairs) {
    if (absl::Status status = AddPair(flow, pair, &values); !status.ok()) return status;
  }
  return values;
}

// How a value of this type is called in a question.
const char* TypeWord(flowspec::InputType type) {
  switch (type) {
    case flowspec::InputType::kString:
      return "text";
    case flowspec::InputType::kInteger:
      return "a whole number";
    case flowspec::InputType::kNumber:
      return "a number";
    case flowspec::InputType::kBoolean:
      return "true or false";
    case flowspec::InputType::kArray:
      return "a JSON array";
    case flowspec::InputType::kObject:
      return "a JSON object";
    default:
      return "any text";
  }
}

// Asks for one input until the answer fits. False at the end of input.
bool AskFor(const Context& context, const flowspec::Flow& flow, const flowspec::Input& input,
            Values* values) {
  std::string about = TypeWord(input.type);
  if (input.sensitive) about += ", not shown";
  if (!input.description.empty()) absl::StrAppend(&about, ", ", Printable(input.description));
  const std::string question =
      absl::StrCat(Paint(context.err.color, Ink::kBold, input.name), " ",
                   Paint(context.err.color, Ink::kDim, absl::StrCat("(", about, ")")));
  while (true) {
    std::optional<std::string> answer = Ask(context, question + ": ", input.sensitive);
    if (!answer) return false;
    Values alone;
    Set(&alone, input.name, TypedJson(&input, *answer));
    bool fits = true;
    for (const auto& violation : flowspec::CheckInputs(flow, ObjectOf(alone)).violations) {
      if (violation.name != input.name) continue;
      Warn(context, Printable(violation.message));
      fits = false;
    }
    if (!fits) continue;
    Set(values, input.name, alone[0].second);
    return true;
  }
}

const char* Placeholder(flowspec::InputType type) {
  switch (type) {
    case flowspec::InputType::kString:
    case flowspec::InputType::kAny:
      return "TEXT";
    case flowspec::InputType::kInteger:
    case flowspec::InputType::kNumber:
      return "NUMBER";
    case flowspec::InputType::kBoolean:
      return "true|false";
    default:
      return "JSON";
  }
}

// "pass -i topic=TEXT -i max=NUMBER": what the command line lacks, to be filled in.
std::string HowToGive(const flowspec::Flow& flow,
                      const std::vector<flowspec::InputViolation>& violations) {
  std::string flags;
  for (const flowspec::InputViolation& violation : violations) {
    const flowspec::Input* input = FindInput(flow, violation.name);
    if (input == nullptr) continue;
    const std::string flag = absl::StrCat(" -i ", input->name, "=", Placeholder(input->type));
    if (flags.find(flag) == std::string::npos) flags += flag;
  }
  if (flags.empty()) return "`beamline plan` shows the flow's inputs";
  return absl::StrCat("pass", flags, ", or --inputs-file FILE");
}

}  // namespace

absl::StatusOr<std::string> ReadInputs(const flowspec::Flow& flow, const InputSources& sources) {
  absl::StatusOr<Values> values = ReadValues(flow, sources);
  if (!values.ok()) return values.status();
  return ObjectOf(*values);
}

std::optional<std::string> CollectInputs(const Context& context, const flowspec::Flow& flow,
                                         const InputSources& sources, int* code) {
  absl::StatusOr<Values> values = ReadValues(flow, sources);
  if (!values.ok()) {
    *code = Fail(context, kExitUsage, std::string(values.status().message()));
    return std::nullopt;
  }
  for (const flowspec::Input& input : flow.inputs) {
    const bool given = std::any_of(values->begin(), values->end(),
                                   [&](const auto& value) { return value.first == input.name; });
    if (given || !input.default_json.empty() || !context.may_ask()) continue;
    if (!AskFor(context, flow, input, &*values)) break;
  }
  std::string json = ObjectOf(*values);
  const flowspec::CheckedInputs checked = flowspec::CheckInputs(flow, json);
  if (checked.violations.empty() && json.size() > kFileBytesMax) {
    *code = Fail(context, kExitInvalid,
                 absl::StrCat("the inputs have ", json.size(), " bytes; 4 MiB are allowed"),
                 "put large inputs in a file that the steps read");
    return std::nullopt;
  }
  if (checked.violations.empty()) return json;
  *code =
      Fail(context, kExitInvalid, absl::StrCat("the inputs do not fit the flow `", flow.name, "`"));
  for (const flowspec::InputViolation& violation : checked.violations) {
    context.err.Write(absl::StrCat("  ", Printable(violation.name),
                                   violation.name.empty() ? "" : ": ", Printable(violation.message),
                                   "\n"));
  }
  Hint(context, absl::StrCat("  = help: ", HowToGive(flow, checked.violations)));
  return std::nullopt;
}

}  // namespace beamline::cli
