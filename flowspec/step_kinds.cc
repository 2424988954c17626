// The body of each step kind.
#include "flowspec/step_kinds.h"

#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "flowspec/value_schema.h"

namespace beamline::flowspec {
namespace {

using Env = std::vector<std::pair<std::string, Template>>;

struct Default {
  const char* key;
  const char* json;
};

Template EnvTemplate(const Env& env) {
  ObjectTemplate object;
  for (const auto& [name, value] : env) object.Add(name, value);
  return object.Finish();
}

// All keys of `body` in the order of the file, then the defaults of those that are missing.
// `secret_keys` may hold secrets.
Template BodyTemplate(Reader& reader, const Node& body, const Scope& scope,
                      std::initializer_list<Default> defaults,
                      std::initializer_list<std::string_view> secret_keys = {},
                      const Env* env = nullptr) {
  ObjectTemplate object;
  for (const auto& [key, value] : body.entries) {
    if (absl::StartsWith(key->text, "x-")) continue;
    Allow allow;
    for (std::string_view name : secret_keys) allow.secret |= name == key->text;
    object.Add(key->text, reader.Value(*value, scope, allow));
  }
  for (const Default& missing : defaults) {
    if (body.Find(missing.key) == nullptr) object.AddJson(missing.key, missing.json);
  }
  if (env != nullptr && !env->empty()) object.Add("env", EnvTemplate(*env));
  return object.Finish();
}

bool HoldsExpression(const Node& node) {
  return node.is_string() && absl::StrContains(node.text, "${{");
}

void ReportTextRun(Reader& reader, const Node& run) {
  const size_t at = run.text.find("${{");
  const size_t close = run.text.find("}}", at);
  const size_t length = close == std::string::npos ? 3 : close + 2 - at;
  const ScalarPlaces places(run, reader.source, reader.lines);
  const std::string expression = run.text.substr(at, std::min<size_t>(length, 80));
  Finding& finding = reader.Error("BL0110", places.At(at, length),
                                  "an expression may not stand in a shell script");
  finding.label = "a value could end the quotes and run as code";
  finding.help = absl::StrCat("hand it over: `env: {VALUE: '", expression,
                              "'}`, and `\"$VALUE\"` in the script");
}

Body ReadRun(Reader& reader, const Node& step, const Node& run, const Scope& scope,
             const Env& env) {
  ObjectTemplate object;
  Fields fields(reader, step, "step", "a step", /*open=*/true);
  if (run.is_list()) {
    if (run.items.empty()) reader.Error("BL0111", run, "`run` names no command");
    for (const NodePtr& word : run.items) {
      if (!word->is_scalar() || word->kind == Node::Kind::kNull) {
        reader.WrongType(*word, "a word of `run`", "text");
      }
    }
    object.Add("run", reader.Value(run, scope));
  } else if (run.is_string()) {
    if (absl::StrContains(run.text, "${{")) ReportTextRun(reader, run);
    std::string json;
    AppendJsonString(run.text, &json);
    object.AddJson("run", json);
    std::string shell = "bash -euo pipefail";
    fields.Text("shell", &shell);
    json.clear();
    AppendJsonString(shell, &json);
    object.AddJson("shell", json);
  } else {
    reader.WrongType(run, "`run`", "a script or a list of words");
  }
  if (!env.empty()) object.Add("env", EnvTemplate(env));
  if (const Node* dir = step.Find("dir")) object.Add("dir", reader.Value(*dir, scope));
  if (const Node* stdin_value = step.Find("stdin")) {
    object.Add("stdin", reader.Value(*stdin_value, scope, {.sensitive = true}));
  }
  static constexpr const char* kCaptures[] = {"\"none\"", "\"text\"", "\"lines\"", "\"json\""};
  object.AddJson("capture",
                 kCaptures[fields.Word("capture", {"none", "text", "lines", "json"}, 0)]);
  return {object.Finish(), Effect::kIdempotent};
}

bool IsStatusPattern(const Node& node) {
  const std::string& text = node.text;
  return node.is_scalar() && text.size() == 3 && text[0] >= '1' && text[0] <= '5' &&
         (absl::EndsWith(text, "xx") ||
          (absl::ascii_isdigit(text[1]) && absl::ascii_isdigit(text[2])));
}

void CheckAuth(Reader& reader, const Node& auth) {
  Fields fields(reader, auth, "auth", "`auth`");
  fields.ExactlyOne({"bearer", "basic"});
  if (const Node* basic = fields.Get("basic")) {
    Fields pair(reader, *basic, "basic", "`basic`");
    pair.Require("user");
    pair.Require("password");
  }
}

Body ReadHttp(Reader& reader, const Node& body, const Scope& scope) {
  Fields fields(reader, body, "http", "`http`");
  std::string text;
  std::string method = "GET";
  if (fields.Require("url") != nullptr) fields.Text("url", &text);
  fields.Text("method", &method);
  const Node* written = fields.Get("method");
  if (written != nullptr && !HoldsExpression(*written)) {
    fields.Word("method", {"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"}, 0);
  }
  for (const char* key : {"query", "headers"}) {
    const Node* map = fields.Get(key);
    if (map != nullptr && !map->is_map()) {
      reader.WrongType(*map, absl::StrCat("`", key, "`"), "a map");
    }
  }
  if (const Node* auth = fields.Get("auth")) CheckAuth(reader, *auth);
  if (const Node* expect = fields.Get("expect")) {
    if (!expect->is_list()) reader.WrongType(*expect, "`expect`", "a list of statuses");
    for (const NodePtr& status : expect->items) {
      if (IsStatusPattern(*status)) continue;
      reader.Error("BL0402", *status, "not an HTTP status").label = "such as 200, 404 or 2xx";
    }
  }
  Effect effect = Effect::kOnce;
  if (method == "GET" || method == "HEAD" || method == "OPTIONS") effect = Effect::kPure;
  if (method == "PUT" || method == "DELETE") effect = Effect::kIdempotent;
  return {BodyTemplate(reader, body, scope, {{"method", "\"GET\""}, {"expect", "[\"2xx\"]"}},
                       {"headers", "auth"}),
          effect};
}

void CheckMessages(Reader& reader, const Node& messages) {
  if (HoldsExpression(messages)) return;
  if (!messages.is_list()) {
    reader.WrongType(messages, "`messages`", "a list of {role, content}");
    return;
  }
  for (const NodePtr& message : messages.items) {
    Fields fields(reader, *message, "messages", "a message");
    fields.Word("role", {"system", "user", "assistant"}, 0);
    fields.Require("role");
    fields.Require("content");
  }
}

// What `llm` and `agent` have in common.
void CheckModel(Reader& reader, Fields& fields) {
  std::string text;
  int32_t count = 0;
  double number = 0;
  fields.ExactlyOne({"route", "model"});
  fields.ExactlyOne({"prompt", "messages"});
  for (const char* key : {"route", "model", "system", "prompt"}) fields.Text(key, &text);
  if (const Node* messages = fields.Get("messages")) CheckMessages(reader, *messages);
  if (const Node* schema = fields.Get("schema")) CheckStatedSchema(reader, *schema);
  fields.Int("repair", 0, 10, &count);
  fields.Int("max_tokens", 1, 10'000'000, &count);
  fields.Number("temperature", 0, 2, &number);
}

Body ReadLlm(Reader& reader, const Node& body, const Scope& scope) {
  Fields fields(reader, body, "llm", "`llm`");
  CheckModel(reader, fields);
  return {BodyTemplate(reader, body, scope, {{"repair", "2"}})};
}

Body ReadAgent(Reader& reader, const Node& body, const Scope& scope, const Env& env) {
  Fields fields(reader, body, "agent", "`agent`");
  CheckModel(reader, fields);
  std::vector<std::string> names;
  int32_t turns = 0;
  fields.TextList("tools", &names);
  fields.Int("max_turns", 1, 1000, &turns);
  if (const Node* servers = fields.Get("mcp")) {
    if (!servers->is_map()) reader.WrongType(*servers, "`mcp`", "a map of servers");
    for (const auto& [server, rights] : servers->entries) {
      Fields right(reader, *rights, "mcp", "an MCP server");
      right.TextList("allow", &names);
      right.TextList("approve", &names);
    }
  }
  return {BodyTemplate(reader, body, scope, {{"repair", "2"}, {"max_turns", "20"}}, {}, &env)};
}

Body ReadWorker(Reader& reader, const Node& body, const Scope& scope, const Env& env) {
  Fields fields(reader, body, "worker", "`worker`");
  std::string text;
  absl::Duration heartbeat;
  if (fields.Require("queue") != nullptr) fields.Text("queue", &text);
  if (fields.Require("task") != nullptr) fields.Text("task", &text);
  fields.Duration("heartbeat", &heartbeat);
  return {BodyTemplate(reader, body, scope, {{"heartbeat", "\"30s\""}}, {}, &env)};
}

// Whose say counts: what is written out is checked at once.
void CheckPeople(Reader& reader, Fields& fields, const char* key) {
  std::vector<std::string> people;
  const Node* list = fields.Get(key);
  fields.TextList(key, &people);
  if (list == nullptr || !list->is_list()) return;
  if (list->items.empty()) {
    reader.Error("BL0411", *list, absl::StrCat("`", key, "` names nobody")).help =
        "leave it out where anybody may decide";
  }
  for (const NodePtr& one : list->items) {
    if (HoldsExpression(*one)) continue;
    const bool user = absl::StartsWith(one->text, "user:") && one->text.size() > 5;
    const bool group = absl::StartsWith(one->text, "group:") && one->text.size() > 6;
    if (user || group) continue;
    reader.Error("BL0411", *one, absl::StrCat("`", one->text, "` is neither a user nor a group"))
        .help = absl::StrCat("write `user:", one->text, "` or `group:", one->text, "`");
  }
}

Body ReadApprove(Reader& reader, const Node& body, const Scope& scope, StepNotes* notes) {
  Fields fields(reader, body, "approve", "`approve`");
  std::string text;
  int32_t count = 0;
  bool flag = false;
  absl::Duration timeout;
  if (fields.Require("title") != nullptr) fields.Text("title", &text);
  if (const Node* form = fields.Get("form")) CheckStatedSchema(reader, *form);
  CheckPeople(reader, fields, "approvers");
  CheckPeople(reader, fields, "escalate_to");
  fields.Int("quorum", 1, 100, &count);
  fields.Bool("self_approval", &flag);
  fields.Duration("timeout", &timeout);
  fields.Word("on_timeout", {"reject", "escalate"}, 0);
  if (const Node* changes = fields.Get("on_changes")) {
    Fields rounds(reader, *changes, "on_changes", "`on_changes`");
    if (const Node* rerun = rounds.Require("rerun")) {
      rounds.Text("rerun", &notes->rerun);
      notes->rerun_span = reader.SpanOf(*rerun);
    }
    rounds.Int("max_rounds", 1, 100, &count);
  }
  return {BodyTemplate(reader, body, scope,
                       {{"quorum", "1"}, {"self_approval", "false"}, {"on_timeout", "\"reject\""}}),
          Effect::kOnce};
}

bool IsFlowName(const std::string& uses) {
  if (absl::StartsWith(uses, "./") || absl::StartsWith(uses, "../")) {
    return absl::EndsWith(uses, ".flow.yaml");
  }
  const size_t at = uses.find("@sha256:");
  if (at == std::string::npos || at == 0) return false;
  const std::string digest = uses.substr(at + 8);
  for (const char c : digest) {
    if (!absl::ascii_isxdigit(c) || absl::ascii_isupper(c)) return false;
  }
  return digest.size() == 64;
}

Body ReadFlow(Reader& reader, const Node& body, const Scope& scope) {
  Fields fields(reader, body, "flow step", "`flow`");
  std::string uses;
  if (const Node* node = fields.Require("uses")) {
    fields.Text("uses", &uses);
    if (node->is_scalar() && !IsFlowName(uses)) {
      reader.Error("BL0407", *node, "this names no flow").help =
          "write `./child.flow.yaml`, or `name@sha256:` and the 64 digits of its digest";
    }
  }
  const Node* inputs = fields.Get("inputs");
  if (inputs != nullptr && !inputs->is_map()) reader.WrongType(*inputs, "`inputs`", "a map");
  fields.Word("mode", {"wait", "detach"}, 0);
  return {BodyTemplate(reader, body, scope, {{"mode", "\"wait\""}})};
}

Body ReadWait(Reader& reader, const Node& body, const Scope& scope) {
  Fields fields(reader, body, "wait", "`wait`");
  std::string text;
  absl::Duration pause;
  fields.ExactlyOne({"for", "until", "signal"});
  fields.Duration("for", &pause);
  fields.Text("until", &text);
  if (const Node* node = fields.Get("signal")) {
    Fields signal(reader, *node, "wait.signal", "`signal`");
    if (signal.Require("name") != nullptr) signal.Text("name", &text);
    if (const Node* schema = signal.Get("schema")) CheckStatedSchema(reader, *schema);
  }
  return {BodyTemplate(reader, body, scope, {}), Effect::kPure};
}

Body ReadSignal(Reader& reader, const Node& body, const Scope& scope) {
  Fields fields(reader, body, "signal", "`signal`");
  std::string text;
  fields.ExactlyOne({"run", "key"});
  for (const char* key : {"run", "key", "name"}) fields.Text(key, &text);
  fields.Require("name");
  return {BodyTemplate(reader, body, scope, {})};
}

Body ReadSet(Reader& reader, const Node& body, const Scope& scope) {
  if (!body.is_map()) reader.WrongType(body, "`set`", "a map of values");
  return {reader.Value(body, scope), Effect::kPure};
}

Body ReadFail(Reader& reader, const Node& body, const Scope& scope) {
  Fields fields(reader, body, "fail", "`fail`");
  std::string text;
  fields.Text("code", &text);
  if (fields.Require("message") != nullptr) fields.Text("message", &text);
  return {BodyTemplate(reader, body, scope, {{"code", "\"failed\""}}), Effect::kPure};
}

}  // namespace

void CheckStatedSchema(Reader& reader, const Node& schema) {
  if (!schema.is_map()) {
    reader.WrongType(schema, "a JSON Schema", "a map");
    return;
  }
  const absl::Status status = CheckSchema(JsonOf(schema));
  if (!status.ok()) {
    reader.Error("BL0404", schema, "not a JSON Schema that can be checked").label =
        std::string(status.message());
  }
}

Body ReadBody(Reader& reader, StepKind kind, const Node& step, const Node& body, const Scope& scope,
              const Env& env, StepNotes* notes) {
  switch (kind) {
    case StepKind::kRun:
      return ReadRun(reader, step, body, scope, env);
    case StepKind::kHttp:
      return ReadHttp(reader, body, scope);
    case StepKind::kLlm:
      return ReadLlm(reader, body, scope);
    case StepKind::kAgent:
      return ReadAgent(reader, body, scope, env);
    case StepKind::kWorker:
      return ReadWorker(reader, body, scope, env);
    case StepKind::kApprove:
      return ReadApprove(reader, body, scope, notes);
    case StepKind::kFlow:
      return ReadFlow(reader, body, scope);
    case StepKind::kWait:
      return ReadWait(reader, body, scope);
    case StepKind::kSignal:
      return ReadSignal(reader, body, scope);
    case StepKind::kSet:
      return ReadSet(reader, body, scope);
    case StepKind::kFail:
      return ReadFail(reader, body, scope);
    case StepKind::kDo:
    case StepKind::kParallel:
      break;
  }
  return {};
}

}  // namespace beamline::flowspec
