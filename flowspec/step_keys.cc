// The keys that every step may have, one function each.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "flowspec/builtins.h"
#include "flowspec/parse_steps.h"
#include "flowspec/scan.h"
#include "flowspec/step_kinds.h"
#include "flowspec/tokens.h"

namespace beamline::flowspec {
namespace {

constexpr int32_t kCountMax = 1'000'000;

Template HoleOf(ExprIndex index) {
  Template value;
  if (index >= 0) value.pieces.push_back({Piece::Kind::kValue, "", index});
  return value;
}

// A `foreach.as` name becomes a jq function, so it must not hide one.
void CheckAsName(Reader& reader, const Node& node) {
  if (!reader.CheckName(node, "name", Reader::NameRule::kId) || node.text == "item") return;
  const std::vector<std::string>& roots = FixedRoots();
  const bool taken = std::find(roots.begin(), roots.end(), node.text) != roots.end() ||
                     !BuiltinArities(node.text).empty() || !WhyForbidden(node.text).empty() ||
                     IsJqKeyword(node.text) || node.text == "default";
  if (!taken) return;
  reader.Error("BL0104", node, absl::StrCat("`", node.text, "` means something in jq")).help =
      absl::StrCat("call it `one_", node.text, "`");
}

void ReadTolerate(Reader& reader, const Node& node, Foreach* foreach) {
  double number = -1;
  const bool percent = node.is_string() && absl::EndsWith(node.text, "%");
  std::string digits = node.text;
  if (percent) digits.pop_back();
  const bool valid = node.is_scalar() && absl::SimpleAtod(digits, &number) && number >= 0 &&
                     number <= (percent ? 100 : kCountMax) &&
                     number == static_cast<int32_t>(number);
  if (!valid) {
    reader.Error("BL0406", node, "`tolerate` is neither a number of items nor a percentage").help =
        "write 3 or 1%";
    return;
  }
  foreach
    ->tolerate = static_cast<int32_t>(number);
  foreach
    ->tolerate_percent = percent;
}

void ReadCombinations(Reader& reader, const Node& list, const std::string& key,
                      std::vector<std::string>* out, std::vector<std::string>* axes) {
  if (!list.is_list()) {
    reader.WrongType(list, absl::StrCat("`", key, "`"), "a list of maps");
    return;
  }
  for (const NodePtr& item : list.items) {
    if (!item->is_map()) {
      reader.WrongType(*item, absl::StrCat("an item of `", key, "`"), "a map");
      continue;
    }
    out->push_back(JsonOf(*item));
    for (const auto& [axis, value] : item->entries) {
      const bool known = std::find(axes->begin(), axes->end(), axis->text) != axes->end();
      if (known) continue;
      if (key == "include") {
        axes->push_back(axis->text);
      } else {
        reader.Unknown("BL0206", "matrix axis", axis->text, reader.SpanOf(*axis), *axes);
      }
    }
  }
}

using Env = std::vector<std::pair<std::string, Template>>;

// An inner `env` overrides the one around it.
void SetVariable(const std::string& name, Template value, Env* env) {
  for (auto& [known, held] : *env) {
    if (known != name) continue;
    held = std::move(value);
    return;
  }
  env->emplace_back(name, std::move(value));
}

}  // namespace

void StepParser::ReadTimes(Fields& fields, Step* step) {
  fields.Duration("timeout", &step->timeout);
  fields.Duration("deadline", &step->deadline);
  static constexpr OnError kOnErrors[] = {OnError::kFail, OnError::kContinue, OnError::kPark};
  step->on_error = kOnErrors[fields.Word("on_error", {"fail", "continue", "park"}, 0)];
  const Node* dir = fields.Get("dir");
  std::string text;
  if (dir != nullptr) fields.Text("dir", &text);
}

void StepParser::ReadRetry(const Node& node, Retry* retry) {
  Fields fields(reader_, node, "retry", "`retry`");
  fields.Int("max", 1, 1000, &retry->max);
  retry->exponential = fields.Word("backoff", {"exponential", "fixed"}, 0) == 0;
  fields.Duration("initial", &retry->initial);
  fields.Number("factor", 1, 100, &retry->factor);
  fields.Duration("max_delay", &retry->max_delay);
  retry->full_jitter = fields.Word("jitter", {"full", "none"}, 0) == 0;
  fields.TextList("match", &retry->match);
  fields.TextList("never", &retry->never);
  fields.Bool("honor_retry_after", &retry->honor_retry_after);
}

void StepParser::ReadForeach(const Node& node, const Scope& before, Scope* own, Step* step) {
  Fields fields(reader_, node, "foreach", "`foreach`");
  Foreach& foreach = step->foreach.emplace();
  own->roots |= kRootItem | kRootIndex;
  if (const Node* as = fields.Get("as")) {
    CheckAsName(reader_, *as);
    fields.Text("as", &foreach.as);
    if (foreach.as != "item") own->as_names.push_back(foreach.as);
  }
  if (const Node* items = fields.Require("items")) {
    foreach
      .items =
          items->is_list() ? reader_.Value(*items, before) : HoleOf(reader_.Bare(*items, before));
  }
  if (const Node* key = fields.Get("key"))
    foreach
      .key = HoleOf(reader_.Bare(*key, *own));
  fields.Int("max_parallel", 1, 10'000, &foreach.max_parallel);
  if (const Node* tolerate = fields.Get("tolerate")) ReadTolerate(reader_, *tolerate, &foreach);
  fields.Int("batch", 1, 100'000, &foreach.batch);
}

void StepParser::ReadMatrix(const Node& node, const Scope& before, Scope* own, Step* step) {
  Fields fields(reader_, node, "matrix", "`matrix`", /*open=*/true);
  if (!fields.valid()) return;
  Matrix& matrix = step->matrix.emplace();
  own->roots |= kRootMatrix;
  for (const auto& [axis, values] : node.entries) {
    const std::vector<std::string> settings{"include", "exclude", "max_parallel", "tolerate"};
    if (std::find(settings.begin(), settings.end(), axis->text) != settings.end()) continue;
    if (!reader_.CheckName(*axis, "matrix axis", Reader::NameRule::kId)) continue;
    own->axes.push_back(axis->text);
    const bool expression = values->is_string() && absl::StrContains(values->text, "${{");
    if (!values->is_list() && !expression) {
      reader_.WrongType(*values, absl::StrCat("axis `", axis->text, "`"), "a list of values");
      continue;
    }
    matrix.axes.emplace_back(axis->text, reader_.Value(*values, before));
  }
  if (const Node* list = fields.Get("include")) {
    ReadCombinations(reader_, *list, "include", &matrix.include, &own->axes);
  }
  if (const Node* list = fields.Get("exclude")) {
    ReadCombinations(reader_, *list, "exclude", &matrix.exclude, &own->axes);
  }
  fields.Int("max_parallel", 1, 10'000, &matrix.max_parallel);
  fields.Int("tolerate", 0, kCountMax, &matrix.tolerate);
}

void StepParser::ReadLoop(const Node& node, const Scope& own, bool container, Step* step) {
  Fields fields(reader_, node, "loop", "`loop`");
  Loop& loop = step->loop.emplace();
  Scope scope = own;
  scope.inside = container;
  if (!container) scope.roots |= kRootOutput;
  fields.ExactlyOne({"until", "while"});
  loop.until = fields.Get("until") != nullptr;
  if (const Node* condition = fields.Get(loop.until ? "until" : "while")) {
    loop.condition = reader_.Bare(*condition, scope);
  }
  fields.Require("max");
  fields.Int("max", 1, 10'000, &loop.max);
}

// name → schema, or one schema of the whole output (where `type` is a word, not a schema).
void StepParser::ReadOutputs(const Node& node, Step* step) {
  if (!node.is_map()) {
    reader_.WrongType(node, "`outputs`", "a map of name to JSON Schema");
    return;
  }
  const Node* type = node.Find("type");
  if (type != nullptr && !type->is_map()) {
    CheckStatedSchema(reader_, node);
    step->outputs_schema = JsonOf(node);
    return;
  }
  std::string required;
  for (const auto& [name, schema] : node.entries) {
    if (!schema->is_map()) {
      reader_.WrongType(*schema, absl::StrCat("`outputs.", name->text, "`"), "a JSON Schema");
      return;
    }
    CheckStatedSchema(reader_, *schema);
    if (!required.empty()) required.push_back(',');
    AppendJsonString(name->text, &required);
  }
  step->outputs_schema = absl::StrCat("{\"type\":\"object\",\"required\":[", required,
                                      "],\"properties\":", JsonOf(node), "}");
}

void StepParser::ReadArtifacts(const Node& node, const Scope& own, Step* step) {
  Fields map(reader_, node, "artifacts", "`artifacts`", /*open=*/true);
  if (!map.valid()) return;
  for (const auto& [name, value] : node.entries) {
    reader_.CheckName(*name, "artifact name", Reader::NameRule::kId);
    Artifact artifact{.name = name->text};
    const Node* path = value.get();
    if (value->is_map()) {
      Fields fields(reader_, *value, "artifacts", "an artifact");
      path = fields.Require("path");
      static constexpr const char* kReports[] = {"junit", "sarif", ""};
      artifact.report = kReports[fields.Word("report", {"junit", "sarif"}, 2)];
    }
    if (path == nullptr) continue;
    if (!path->is_string()) {
      reader_.WrongType(*path, "an artifact", "a path or {path, report}");
      continue;
    }
    artifact.path = reader_.Value(*path, own);
    step->artifacts.push_back(std::move(artifact));
  }
}

void StepParser::ReadCache(const Node& node, const Scope& own, Step* step) {
  Fields fields(reader_, node, "cache", "`cache`");
  Cache& cache = step->cache.emplace();
  if (const Node* key = fields.Require("key")) cache.key = reader_.Value(*key, own);
  fields.Duration("ttl", &cache.ttl);
}

void ReadEnv(Reader& reader, const Node& node, const Scope& scope,
             std::vector<std::pair<std::string, Template>>* env) {
  Fields fields(reader, node, "env", "`env`", /*open=*/true);
  if (!fields.valid()) return;
  for (const auto& [name, value] : node.entries) {
    reader.CheckName(*name, "environment variable", Reader::NameRule::kVariable);
    Template text;
    const bool secret =
        value->is_map() && value->entries.size() == 1 && value->entries[0].first->text == "secret";
    if (value->kind == Node::Kind::kBool || value->kind == Node::Kind::kNumber) {
      std::string json;  // a variable is text
      AppendJsonString(value->text, &json);
      AppendLiteral(json, &text);
    } else if (value->is_string() || secret) {
      text = reader.Value(*value, scope, {.secret = true, .sensitive = true});
    } else {
      reader.WrongType(*value, absl::StrCat("`", name->text, "`"), "text or {secret: name}");
    }
    SetVariable(name->text, std::move(text), env);
  }
}

std::optional<Concurrency> ReadConcurrency(Reader& reader, const Node& node, const Scope& scope) {
  Fields fields(reader, node, "concurrency", "`concurrency`");
  Concurrency concurrency;
  if (const Node* key = fields.Require("key")) concurrency.key = reader.Value(*key, scope);
  fields.Int("limit", 1, kCountMax, &concurrency.limit);
  static constexpr Concurrency::Overflow kOverflows[] = {Concurrency::Overflow::kQueue,
                                                         Concurrency::Overflow::kReject,
                                                         Concurrency::Overflow::kCancelOldest};
  concurrency.overflow =
      kOverflows[fields.Word("overflow", {"queue", "reject", "cancel_oldest"}, 0)];
  return concurrency;
}

void ReadBudget(Reader& reader, const Node& node, Budget* budget) {
  Fields fields(reader, node, "budget", "`budget`");
  double tokens = -1;
  fields.Number("usd", 0, 1e9, &budget->usd);
  fields.Number("tokens", 0, 1e15, &tokens);
  budget->tokens = static_cast<int64_t>(tokens);
}

void ReadLabels(Reader& reader, const Node& node,
                std::vector<std::pair<std::string, std::string>>* labels) {
  Fields fields(reader, node, "labels", "`labels`", /*open=*/true);
  if (!fields.valid()) return;
  for (const auto& [name, value] : node.entries) {
    if (!value->is_scalar() || value->kind == Node::Kind::kNull) {
      reader.WrongType(*value, absl::StrCat("label `", name->text, "`"), "text");
    } else {
      labels->emplace_back(name->text, value->text);
    }
  }
}

}  // namespace beamline::flowspec
