// Nothing that the step asks for is dropped: what a model cannot do is an error.
#include "daemon/exec/llm_step.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "daemon/exec/step_output.h"
#include "flowspec/expr.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/value_schema.h"

namespace beamline::exec {
namespace {

constexpr size_t kProblemsMax = 20;

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

// Text as it is, other JSON as text.
std::string Plain(std::string_view value) {
  return flowspec::JsonKind(value) == '"' ? flowspec::UnquoteJson(value) : std::string(value);
}

template <typename Map>
std::string Names(const Map& map, absl::string_view what) {
  if (map.empty()) return absl::StrCat("no `", what, "`");
  return absl::StrJoin(
      map, ", ", [](std::string* out, const auto& entry) { absl::StrAppend(out, entry.first); });
}

class Reader {
 public:
  Reader(const ports::Attempt& attempt, const LlmProviders& providers)
      : attempt_(attempt), providers_(providers) {}

  absl::StatusOr<LlmStep> Read() {
    if (absl::Status valid = flowspec::CheckJson(attempt_.input); !valid.ok()) return valid;
    for (const auto part :
         {&Reader::ReadModel, &Reader::ReadMessages, &Reader::ReadNumbers, &Reader::ReadSchema}) {
      if (absl::Status read = (this->*part)(); !read.ok()) return read;
    }
    return std::move(step_);
  }

 private:
  // The value at `key`; empty if it is missing or null.
  std::string_view Key(std::string_view key) const {
    for (const auto& [name, value] : flowspec::ObjectMembers(attempt_.input)) {
      if (name.substr(1, name.size() - 2) != key) continue;
      return flowspec::JsonKind(value) == 'n' ? std::string_view() : value;
    }
    return {};
  }

  absl::Status ReadModel() {
    if (!attempt_.llm_answers.empty()) {
      static const LlmProvider kRecorded{.name = "recorded", .kind = LlmProvider::Kind::kRecorded};
      step_.provider = &kRecorded;
      step_.request.model = "recorded";
      return absl::OkStatus();
    }
    const std::string_view model = Key("model"), route = Key("route");
    absl::StatusOr<FoundModel> found =
        FindModel(providers_, route.empty() ? "" : Plain(route), model.empty() ? "" : Plain(model));
    if (!found.ok()) return found.status();
    step_.provider = found->provider;
    step_.request.model = std::move(found->model);
    return absl::OkStatus();
  }

  absl::Status ReadMessages() {
    LlmRequest& request = step_.request;
    if (const std::string_view system = Key("system"); !system.empty()) {
      request.system = Plain(system);
    }
    if (const std::string_view prompt = Key("prompt"); !prompt.empty()) {
      request.messages.push_back({LlmMessage::Role::kUser, Plain(prompt)});
    }
    const std::string_view messages = Key("messages");
    if (!messages.empty() && flowspec::JsonKind(messages) != '[') {
      return Bad("`messages` must be a list of {role, content}");
    }
    for (const std::string_view message : flowspec::ArrayElements(messages)) {
      if (absl::Status read = ReadMessage(message); !read.ok()) return read;
    }
    if (request.messages.empty()) return Bad("there is nothing to answer: `prompt` is empty");
    return absl::OkStatus();
  }

  absl::Status ReadMessage(std::string_view message) {
    std::string role, content;
    for (const auto& [key, value] : flowspec::ObjectMembers(message)) {
      if (key == "\"role\"") role = Plain(value);
      if (key == "\"content\"") content = Plain(value);
    }
    LlmRequest& request = step_.request;
    if (role == "system") {
      absl::StrAppend(&request.system, request.system.empty() ? "" : "\n\n", content);
    } else if (role == "user" || role == "assistant") {
      request.messages.push_back(
          {role == "user" ? LlmMessage::Role::kUser : LlmMessage::Role::kAssistant, content});
    } else {
      return Bad("the `role` of a message is system, user or assistant");
    }
    return absl::OkStatus();
  }

  absl::Status ReadNumbers() {
    const std::string_view repair = Key("repair"), tokens = Key("max_tokens");
    if (!repair.empty() && (!absl::SimpleAtoi(Plain(repair), &step_.repair) || step_.repair < 0 ||
                            step_.repair > 10)) {
      return Bad("`repair` must be a whole number up to 10");
    }
    if (!tokens.empty()) {
      int64_t count = 0;
      if (!absl::SimpleAtoi(Plain(tokens), &count) || count < 1 || count > 10'000'000) {
        return Bad("`max_tokens` must be a whole number from 1 to 10,000,000");
      }
      step_.request.max_tokens = count;
    }
    const std::string_view temperature = Key("temperature");
    if (temperature.empty()) return absl::OkStatus();
    if (flowspec::JsonKind(temperature) != '0') return Bad("`temperature` must be a number");
    if (!*TraitsOf(*step_.provider, step_.request.model).temperature) {
      return absl::UnimplementedError(
          absl::StrCat("the model ", step_.request.model, " takes no `temperature`; leave it out"));
    }
    step_.request.temperature = std::string(temperature);
    return absl::OkStatus();
  }

  absl::Status ReadSchema() {
    const std::string_view schema = Key("schema");
    if (schema.empty()) return absl::OkStatus();
    step_.schema = std::string(schema);
    if (absl::Status sound = flowspec::CheckSchema(step_.schema); !sound.ok()) {
      return Bad(absl::StrCat("`schema`: ", sound.message()));
    }
    if (*TraitsOf(*step_.provider, step_.request.model).schema) {
      step_.request.schema = step_.schema;
      return absl::OkStatus();
    }
    std::string& system = step_.request.system;
    absl::StrAppend(&system, system.empty() ? "" : "\n\n",
                    "Answer with one JSON value and nothing else. It must be valid under this JSON "
                    "Schema:\n",
                    step_.schema);
    return absl::OkStatus();
  }

  const ports::Attempt& attempt_;
  const LlmProviders& providers_;
  LlmStep step_;
};

// Without the Markdown fence (```json … ```) that models like to put around JSON.
absl::string_view Unfenced(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, "```") || !absl::ConsumeSuffix(&text, "```")) return text;
  const size_t line_end = text.find('\n');
  return line_end == text.npos ? text : absl::StripAsciiWhitespace(text.substr(line_end));
}

// OpenAI's models that reason and refuse `temperature`.
bool Reasons(absl::string_view model) {
  for (const char* family : {"o1", "o3", "o4", "gpt-5"}) {
    if (absl::StartsWith(model, family)) return true;
  }
  return false;
}

bool Fits(absl::string_view pattern, absl::string_view model) {
  if (absl::ConsumeSuffix(&pattern, "*")) return absl::StartsWith(model, pattern);
  return pattern == model;
}

}  // namespace

LlmTraits TraitsOf(const LlmProvider& provider, const std::string& model) {
  LlmTraits traits{.model = model};
  traits.temperature = provider.kind != LlmProvider::Kind::kOpenAi || !Reasons(model);
  traits.schema = provider.kind != LlmProvider::Kind::kAnthropic;
  const auto configured =
      std::find_if(provider.models.begin(), provider.models.end(),
                   [&](const LlmTraits& known) { return Fits(known.model, model); });
  if (configured == provider.models.end()) return traits;
  if (configured->temperature) traits.temperature = configured->temperature;
  if (configured->schema) traits.schema = configured->schema;
  traits.price = configured->price;
  return traits;
}

absl::StatusOr<FoundModel> FindModel(const LlmProviders& providers, const std::string& route,
                                     const std::string& model) {
  std::string name = model;
  if (model.empty()) {
    const auto found = providers.routes.find(route);
    if (found == providers.routes.end()) {
      return absl::NotFoundError(absl::StrCat("there is no route `", route.substr(0, 100),
                                              "`; the daemon's configuration has ",
                                              Names(providers.routes, "routes")));
    }
    name = found->second;
  }
  const size_t slash = name.find('/');
  const auto provider = providers.by_name.find(name.substr(0, slash));
  if (slash == name.npos || slash + 1 == name.size()) {
    return Bad(absl::StrCat("`model` is `", name.substr(0, 100), "`, but must be provider/model"));
  }
  if (provider == providers.by_name.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no provider `", name.substr(0, std::min<size_t>(slash, 100)),
                     "`; the daemon's configuration has ", Names(providers.by_name, "providers")));
  }
  return FoundModel{&provider->second, name.substr(slash + 1)};
}

absl::StatusOr<LlmStep> ReadLlmStep(const ports::Attempt& attempt, const LlmProviders& providers) {
  return Reader(attempt, providers).Read();
}

std::string OutputOfAnswer(const LlmStep& step, const std::string& text,
                           std::vector<std::string>* problems) {
  if (step.schema.empty()) return flowspec::QuoteJson(text);
  absl::StatusOr<std::string> json = CaptureJson(Unfenced(text));
  if (!json.ok()) {
    problems->push_back(absl::StrCat("it is no JSON value: ", json.status().message()));
    return "";
  }
  *problems = flowspec::CheckValue(step.schema, *json);
  if (problems->size() > kProblemsMax) problems->resize(kProblemsMax);
  return problems->empty() ? *std::move(json) : "";
}

void AskToMend(const std::string& answer, const std::vector<std::string>& problems,
               LlmRequest* request) {
  // Providers refuse an empty message.
  request->messages.push_back(
      {LlmMessage::Role::kAssistant, answer.empty() ? "(no answer)" : answer});
  request->messages.push_back(
      {LlmMessage::Role::kUser,
       absl::StrCat("Your answer does not fit what was asked for:\n- ",
                    absl::StrJoin(problems, "\n- "),
                    "\nAnswer again with the whole corrected JSON value and nothing else.")});
}

}  // namespace beamline::exec
