// OpenAI's Chat Completions, which Ollama, vLLM, llama.cpp and many services speak as well.
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/llm_adapter.h"
#include "daemon/exec/llm_json.h"

namespace beamline::exec {
namespace {

using nlohmann::json;

json Message(const char* role, const std::string& text) {
  return {{"role", role}, {"content", text}};
}

class OpenAi : public LlmAdapter {
 public:
  std::string Path() const override { return "/chat/completions"; }

  std::vector<HttpHeader> Headers(const std::string& key) const override {
    if (key.empty()) return {};
    return {{"Authorization", absl::StrCat("Bearer ", key), true}};
  }

  std::string Body(const LlmProvider& provider, const LlmRequest& request) const override {
    json body = {
        {"model", request.model}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
    json& messages = body["messages"] = json::array();
    if (!request.system.empty()) messages.push_back(Message("system", request.system));
    for (const LlmMessage& message : request.messages) {
      const bool user = message.role == LlmMessage::Role::kUser;
      messages.push_back(Message(user ? "user" : "assistant", message.text));
    }
    if (request.max_tokens) {
      // OpenAI's newer models refuse the old name; the others know no other.
      const bool new_name = absl::StrContains(provider.base_url, "://api.openai.com/");
      body[new_name ? "max_completion_tokens" : "max_tokens"] = *request.max_tokens;
    }
    if (!request.temperature.empty()) body["temperature"] = ParseOwn(request.temperature);
    if (!request.schema.empty()) {
      body["response_format"] = {
          {"type", "json_schema"},
          {"json_schema", {{"name", "answer"}, {"schema", ParseOwn(request.schema)}}}};
    }
    return Written(body);
  }

  void Take(const SseEvent& event, LlmAnswer* answer) const override {
    if (event.data == "[DONE]") {
      answer->whole = true;
      return;
    }
    const std::optional<json> chunk = ParseForeign(event.data);
    if (!chunk || !chunk->is_object()) {
      answer->problem = {"output", "the stream holds something that is no JSON object"};
      return;
    }
    if (const auto error = chunk->find("error"); error != chunk->end() && !error->is_null()) {
      answer->problem = ProblemInStream(Written(*error));
      return;
    }
    if (const std::string model = TextAt(*chunk, "model"); !model.empty()) {
      answer->usage.model = model;
    }
    TakeUsage(*chunk, &answer->usage);
    const auto choices = chunk->find("choices");  // empty in the last chunk, which has the usage
    if (choices == chunk->end() || !choices->is_array() || choices->empty()) return;
    TakeChoice(choices->front(), answer);
  }

 private:
  static void TakeChoice(const json& choice, LlmAnswer* answer) {
    if (!choice.is_object()) return;
    if (const auto delta = choice.find("delta"); delta != choice.end() && delta->is_object()) {
      absl::StrAppend(&answer->text, TextAt(*delta, "content"));
      const std::string refusal = TextAt(*delta, "refusal");
      if (!refusal.empty()) {
        answer->problem.kind = "refusal";
        absl::StrAppend(&answer->problem.message, refusal);
      }
    }
    const std::string stop = TextAt(choice, "finish_reason");
    if (stop.empty()) return;
    answer->stop = stop;
    if (stop == "content_filter") {
      answer->problem = {"filtered", "the provider's filter withheld the answer"};
    }
  }

  static void TakeUsage(const json& chunk, run::Usage* usage) {
    const auto given = chunk.find("usage");
    if (given == chunk.end() || !given->is_object()) return;
    usage->input_tokens = CountAt(*given, "prompt_tokens");
    usage->output_tokens = CountAt(*given, "completion_tokens");
    usage->cache_read_tokens = CountAt(ObjectAt(*given, "prompt_tokens_details"), "cached_tokens");
    usage->reasoning_tokens =
        CountAt(ObjectAt(*given, "completion_tokens_details"), "reasoning_tokens");
  }
};

}  // namespace

const LlmAdapter& OpenAiAdapter() {
  static const OpenAi adapter;
  return adapter;
}

}  // namespace beamline::exec
