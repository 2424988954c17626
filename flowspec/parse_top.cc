// Inputs, vars, env, secrets and what else stands at the top of a flow.
#include "flowspec/parse_top.h"

#include "absl/strings/str_cat.h"
#include "flowspec/parse_steps.h"
#include "flowspec/parse_triggers.h"
#include "flowspec/step_kinds.h"
#include "flowspec/value_schema.h"

namespace beamline::flowspec {
namespace {

constexpr uint32_t kKeyRoots =
    kRootInputs | kRootVars | kRootEnv | kRootRun | kRootTrigger | kRootNow;

InputType TypeOf(std::string_view word) {
  static constexpr std::pair<std::string_view, InputType> kTypes[] = {
      {"string", InputType::kString},   {"number", InputType::kNumber},
      {"integer", InputType::kInteger}, {"boolean", InputType::kBoolean},
      {"array", InputType::kArray},     {"object", InputType::kObject}};
  for (const auto& [name, type] : kTypes) {
    if (name == word) return type;
  }
  return InputType::kAny;
}

// The schema without our own key.
std::string SchemaText(const Node& node) {
  Node schema = node;
  std::erase_if(schema.entries, [](const auto& entry) {
    return entry.first->text == "sensitive" || entry.first->text.rfind("x-", 0) == 0;
  });
  return JsonOf(schema);
}

void ReadInput(Reader& reader, const Node& name, const Node& node) {
  Fields fields(reader, node, "inputs", absl::StrCat("input `", name.text, "`"));
  reader.CheckName(name, "input name", Reader::NameRule::kId);
  reader.input_names.push_back(name.text);
  if (!fields.valid()) return;
  Input input{.name = name.text, .schema = SchemaText(node), .span = reader.SpanOf(name)};
  if (const Node* type = fields.Get("type"); type != nullptr && type->is_scalar()) {
    const int word = fields.Word(
        "type", {"string", "number", "integer", "boolean", "array", "object", "null"}, -1);
    if (word < 0) return;
    input.type = TypeOf(type->text);
  }
  fields.Text("description", &input.description);
  fields.Bool("sensitive", &input.sensitive);
  if (input.sensitive) reader.sensitive_inputs.insert(input.name);
  const absl::Status status = CheckSchema(input.schema);
  if (!status.ok()) {
    reader.Error("BL0404", node, "not a JSON Schema that can be checked").label =
        std::string(status.message());
    return;
  }
  if (const Node* value = fields.Get("default")) {
    input.default_json = JsonOf(*value);
    const std::vector<std::string> wrong = CheckValue(input.schema, input.default_json);
    if (!wrong.empty()) {
      reader.Error("BL0405", *value, "the default does not satisfy the input's own schema").label =
          wrong.front();
    }
  }
  reader.flow.inputs.push_back(std::move(input));
}

void ReadSecret(Reader& reader, const Node& name, const Node& node) {
  reader.CheckName(name, "secret name", Reader::NameRule::kId);
  reader.secret_names.push_back(name.text);
  Fields fields(reader, node, "secrets", absl::StrCat("secret `", name.text, "`"));
  fields.ExactlyOne({"env", "file", "store"});
  for (const char* source : {"env", "file", "store"}) {
    if (fields.Get(source) == nullptr) continue;
    Secret secret{.name = name.text, .source = source};
    fields.Text(source, &secret.value);
    reader.flow.secrets.push_back(std::move(secret));
  }
}

// Calls `read(name, value)` for each entry of the map under `key`.
template <typename Read>
void ForEachEntry(Reader& reader, const Fields& top, const char* key, Read read) {
  const Node* map = top.Get(key);
  if (map == nullptr) return;
  if (!map->is_map()) {
    reader.WrongType(*map, absl::StrCat("`", key, "`"), "a map");
    return;
  }
  for (const auto& [name, value] : map->entries) {
    if (name->text.rfind("x-", 0) != 0) read(*name, *value);
  }
}

void ReadHead(Reader& reader, Fields& top) {
  Flow& flow = reader.flow;
  if (const Node* format = top.Require("beamline")) {
    if (!format->is_string() || format->text != "flow/v1") {
      Finding& finding = reader.Error("BL0108", *format, "not a version of the flow format");
      finding.help = "this release reads `flow/v1`";
      if (format->is_scalar() && format->style == Node::Style::kPlain &&
          format->kind != Node::Kind::kNull) {
        finding.fix = Fix{finding.span, "flow/v1"};
      }
    }
  }
  if (const Node* name = top.Require("name")) {
    if (reader.CheckName(*name, "flow name", Reader::NameRule::kSlug)) flow.name = name->text;
  }
  top.Text("description", &flow.description);
  top.Text("version", &flow.version);
  top.Duration("timeout", &flow.timeout);
  if (const Node* labels = top.Get("labels")) ReadLabels(reader, *labels, &flow.labels);
  if (const Node* budget = top.Get("budget")) ReadBudget(reader, *budget, &flow.budget);
}

void ReadVarsAndEnv(Reader& reader, const Fields& top) {
  Flow& flow = reader.flow;
  ForEachEntry(reader, top, "vars", [&](const Node& name, const Node& value) {
    reader.CheckName(name, "variable name", Reader::NameRule::kId);
    reader.var_names.push_back(name.text);
    flow.vars.emplace_back(name.text, reader.Value(value, {.roots = kRootInputs}));
  });
  if (const Node* env = top.Get("env")) {
    ReadEnv(reader, *env, {.roots = kRootInputs | kRootVars}, &flow.env);
  }
  for (const auto& [name, value] : flow.env) {
    reader.env_names.push_back(name);
    const bool sensitive =
        value.pieces.size() == 1 && value.pieces[0].text.rfind("{\"sensitive\":", 0) == 0;
    if (sensitive) reader.sensitive_env.insert(name);
  }
}

void ReadKeys(Reader& reader, const Fields& top) {
  const Scope scope{.roots = kKeyRoots};
  if (const Node* node = top.Get("concurrency")) {
    reader.flow.concurrency = ReadConcurrency(reader, *node, scope);
  }
  if (const Node* node = top.Get("idempotency")) {
    Fields fields(reader, *node, "idempotency", "`idempotency`");
    Idempotency& idempotency = reader.flow.idempotency.emplace();
    if (const Node* key = fields.Require("key")) idempotency.key = reader.Value(*key, scope);
    fields.Duration("window", &idempotency.window);
    idempotency.conflict_return = fields.Word("conflict", {"return", "reject"}, 0) == 0;
  }
}

}  // namespace

void ReadTop(Reader& reader, const Node& root) {
  Fields top(reader, root, "flow", "the flow");
  if (!top.valid()) return;
  ReadHead(reader, top);
  ForEachEntry(reader, top, "inputs",
               [&](const Node& name, const Node& node) { ReadInput(reader, name, node); });
  ForEachEntry(reader, top, "secrets",
               [&](const Node& name, const Node& node) { ReadSecret(reader, name, node); });
  ReadVarsAndEnv(reader, top);
  ReadKeys(reader, top);
  if (const Node* triggers = top.Get("triggers")) ReadTriggers(reader, *triggers);
  const Scope at_end{.roots = kKeyRoots | kRootSteps};
  ForEachEntry(reader, top, "outputs", [&](const Node& name, const Node& value) {
    reader.CheckName(name, "output name", Reader::NameRule::kId);
    reader.flow.outputs.emplace_back(name.text, reader.Value(value, at_end));
  });
}

Scope StepScope(const Reader& reader, Section section) {
  Scope scope;
  scope.roots = kKeyRoots | kRootSteps | kRootFeedback;
  if (section == Section::kOnFailure) scope.roots |= kRootError;
  scope.section = section;
  scope.env = reader.flow.env;
  return scope;
}

}  // namespace beamline::flowspec
