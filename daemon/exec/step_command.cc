// JSON of the flow becomes argv, environment and descriptors; the kernel's limits are ours to
// explain.
#include "daemon/exec/step_command.h"

#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/container/btree_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/exec/descendants.h"
#include "daemon/exec/secrets.h"

namespace beamline::exec {
namespace {

using nlohmann::json;
using Environment = absl::btree_map<std::string, std::string>;

constexpr absl::string_view kDefaultShell = "bash -euo pipefail";
constexpr size_t kCommandBytesMax = 1 << 20;
constexpr size_t kStringBytesMax = 128 << 10;  // MAX_ARG_STRLEN, with the NUL

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

// Text as it is, anything else as JSON text.
std::string Plain(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The text at `key`, `otherwise` if there is none.
std::string TextAt(const json& body, const char* key, absl::string_view otherwise) {
  const auto it = body.find(key);
  return it == body.end() || it->is_null() ? std::string(otherwise) : it->get<std::string>();
}

// `value`, or the sensitive value that it stands for.
absl::StatusOr<json> Resolve(json value, const ports::Attempt& attempt) {
  if (!value.is_object() || value.size() != 1) return value;
  const auto only = value.begin();
  if ((only.key() != "sensitive" && only.key() != "secret") || !only->is_string()) return value;
  const auto& name = only->get_ref<const std::string&>();
  const std::string full = absl::StrCat(only.key() == "secret" ? ports::kSecretPrefix : "", name);
  if (const std::string* text = FindSensitive(attempt, full)) return json::parse(*text);
  return Bad(absl::StrCat("the ", only.key(), " value \"", name, "\" is not known any more"));
}

absl::Status ReadArguments(const json& body, const ports::Attempt& attempt, StepCommand* command) {
  const json& run = body.at("run");
  std::vector<std::string>& argv = command->spawn.argv;
  if (run.is_string()) {
    const std::string shell = TextAt(body, "shell", kDefaultShell);
    argv = absl::StrSplit(shell, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
    if (argv.empty()) return Bad("`shell` is empty");
    argv.push_back("-c");
    argv.push_back(run.get<std::string>());
    return absl::OkStatus();
  }
  for (const json& argument : run) {
    const absl::StatusOr<json> value = Resolve(argument, attempt);
    if (!value.ok()) return value.status();
    argv.push_back(Plain(*value));
  }
  if (!run.is_array() || argv.empty() || argv.front().empty()) {
    return Bad("`run` names no program");
  }
  return absl::OkStatus();
}

void AddOwnVariables(const ports::Attempt& attempt, absl::string_view output_path,
                     Environment* environment) {
  Environment& env = *environment;
  env["BEAMLINE_RUN_ID"] = attempt.run.ToString();
  env["BEAMLINE_FLOW"] = attempt.flow_name;
  env["BEAMLINE_STEP"] = attempt.step_id;
  env[std::string(kAttemptVariable)] = AttemptName(attempt);
  env["BEAMLINE_IDEMPOTENCY_KEY"] = attempt.idempotency_key;
  env["BEAMLINE_TRACE_ID"] = attempt.trace_id;
  env["BEAMLINE_OUTPUT"] = std::string(output_path);
  env["BEAMLINE_IN"] = InputsPath(output_path);
  if (attempt.trace_id.size() == 32) env["TRACEPARENT"] = TraceParent(attempt);
}

absl::Status ReadEnvironment(const json& body, const ports::Attempt& attempt, const Variables& base,
                             absl::string_view output_path, StepCommand* command) {
  Environment environment(base.begin(), base.end());
  if (const auto env = body.find("env"); env != body.end()) {
    for (const auto& [name, value] : env->items()) {
      if (name.empty() || name.find('=') != name.npos) {
        return Bad(absl::StrCat("\"", name, "\" cannot be the name of a variable"));
      }
      environment.erase(name);
      if (value.is_null()) continue;
      const absl::StatusOr<json> resolved = Resolve(value, attempt);
      if (!resolved.ok()) return resolved.status();
      environment[name] = Plain(*resolved);
    }
  }
  AddOwnVariables(attempt, output_path, &environment);
  for (const auto& [name, value] : environment) {
    command->spawn.env.push_back(absl::StrCat(name, "=", value));
  }
  return absl::OkStatus();
}

absl::Status ReadCapture(const json& body, StepCommand* command) {
  const std::string word = TextAt(body, "capture", "none");
  constexpr absl::string_view kWords[] = {"none", "text", "lines", "json"};
  const auto it = absl::c_find(kWords, word);
  if (it == std::end(kWords)) return Bad(absl::StrCat("`capture: ", word, "` is not known"));
  command->capture = static_cast<Capture>(it - std::begin(kWords));
  return absl::OkStatus();
}

absl::Status ReadStdin(json& body, const ports::Attempt& attempt, StepCommand* command) {
  const auto it = body.find("stdin");
  if (it == body.end() || it->is_null()) return absl::OkStatus();
  const absl::StatusOr<json> value = Resolve(std::move(*it), attempt);
  if (!value.ok()) return value.status();
  command->stdin_text = Plain(*value) + (value->is_string() ? "" : "\n");
  return absl::OkStatus();
}

void ReadArtifacts(const json& body, StepCommand* command) {
  const auto artifacts = body.find("artifacts");
  if (artifacts == body.end()) return;
  for (const auto& [name, rule] : artifacts->items()) {
    command->artifacts.push_back(
        {name, rule.at("path").get<std::string>(), TextAt(rule, "report", "")});
  }
}

// What the kernel would refuse with nothing but "Argument list too long".
absl::Status CheckSizes(const SpawnRequest& spawn) {
  size_t total = 0;
  const auto check = [&](const std::string& text, absl::string_view what) {
    total += text.size() + 1 + sizeof(char*);
    if (text.find('\0') != text.npos) return Bad(absl::StrCat(what, " contains a NUL byte"));
    if (text.size() < kStringBytesMax) return absl::OkStatus();
    return Bad(absl::StrCat(what, " has ", text.size(),
                            " bytes; the system takes 128 KiB, so hand it over through `stdin`"));
  };
  for (const std::string& text : spawn.argv) {
    if (absl::Status ok = check(text, "an argument of the command"); !ok.ok()) return ok;
  }
  for (const std::string& text : spawn.env) {
    const std::string name = text.substr(0, text.find('='));
    if (absl::Status ok = check(text, absl::StrCat("the variable ", name)); !ok.ok()) return ok;
  }
  if (absl::Status ok = check(spawn.dir, "`dir`"); !ok.ok()) return ok;
  if (total <= kCommandBytesMax) return absl::OkStatus();
  return Bad(absl::StrCat("arguments and environment have ", total,
                          " bytes together; at most 1 MiB, so hand them over through `stdin`"));
}

void CollectTexts(const json& value, std::vector<std::string>* texts) {
  if (value.is_string()) texts->push_back(value.get<std::string>());
  if (!value.is_structured()) return;
  for (const json& part : value) CollectTexts(part, texts);
}

}  // namespace

Variables BaseEnvironment(char** environment) {
  constexpr absl::string_view kNames[] = {"PATH",  "HOME", "USER", "LOGNAME",
                                          "SHELL", "LANG", "TZ",   "TMPDIR"};
  Variables base = {{"TERM", "dumb"}};
  for (char** variable = environment; variable != nullptr && *variable != nullptr; ++variable) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(*variable, absl::MaxSplits('=', 1));
    if (absl::StartsWith(pair.first, "LC_") || absl::c_linear_search(kNames, pair.first)) {
      base.push_back(pair);
    }
  }
  return base;
}

std::string AttemptName(const ports::Attempt& attempt) {
  return absl::StrCat(attempt.run.ToString(), "/", attempt.path, "/", attempt.attempt);
}

std::string TraceParent(const ports::Attempt& attempt) {
  uint64_t span = 0xcbf29ce484222325;
  for (unsigned char c : AttemptName(attempt)) span = (span ^ c) * 0x100000001b3;
  return absl::StrCat("00-", attempt.trace_id, "-", absl::Hex(span | 1, absl::kZeroPad16), "-01");
}

std::string InputsPath(absl::string_view output_path) { return absl::StrCat(output_path, ".in"); }

std::vector<std::string> SecretTexts(const ports::Attempt& attempt) {
  std::vector<std::string> texts;
  for (const auto& [name, text] : attempt.sensitive) {
    const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!value.is_string()) texts.push_back(text);
    CollectTexts(value, &texts);
  }
  return texts;
}

absl::StatusOr<StepCommand> ReadStepCommand(const ports::Attempt& attempt, const Variables& base,
                                            absl::string_view output_path) {
  StepCommand command;
  try {
    json body = json::parse(attempt.input);
    const std::string dir = TextAt(body, "dir", "");
    command.spawn.dir = absl::StartsWith(dir, "/") ? dir
                        : dir.empty()              ? attempt.workspace
                                                   : absl::StrCat(attempt.workspace, "/", dir);
    absl::Status read = ReadArguments(body, attempt, &command);
    if (read.ok()) read = ReadEnvironment(body, attempt, base, output_path, &command);
    if (read.ok()) read = ReadCapture(body, &command);
    if (read.ok()) read = ReadStdin(body, attempt, &command);
    if (read.ok()) read = CheckSizes(command.spawn);
    if (!read.ok()) return read;
    ReadArtifacts(body, &command);
  } catch (const json::exception& e) {
    return Bad(absl::StrCat("the step's input is not what a `run` step takes: ", e.what()));
  }
  return command;
}

}  // namespace beamline::exec
