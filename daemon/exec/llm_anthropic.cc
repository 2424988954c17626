// Anthropic's Messages.
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/exec/llm_adapter.h"
#include "daemon/exec/llm_json.h"

namespace beamline::exec {
namespace {

using nlohmann::json;

constexpr char kVersion[] = "2023-06-01";
// The format demands a limit; this is ours where the step has none.
constexpr int64_t kMaxTokens = 8192;

class Anthropic : public LlmAdapter {
 public:
  std::string Path() const override { return "/v1/messages"; }

  std::vector<HttpHeader> Headers(const std::string& key) const override {
    std::vector<HttpHeader> headers = {{"anthropic-version", kVersion}};
    if (!key.empty()) headers.push_back({"x-api-key", key, true});
    return headers;
  }

  std::string Body(const LlmProvider&, const LlmRequest& request) const override {
    json body = {{"model", request.model},
                 {"stream", true},
                 {"max_tokens", request.max_tokens.value_or(kMaxTokens)}};
    if (!request.system.empty()) body["system"] = request.system;
    json& messages = body["messages"] = json::array();
    for (const LlmMessage& message : request.messages) {
      const bool user = message.role == LlmMessage::Role::kUser;
      messages.push_back({{"role", user ? "user" : "assistant"}, {"content", message.text}});
    }
    if (!request.temperature.empty()) body["temperature"] = ParseOwn(request.temperature);
    if (!request.schema.empty()) {
      body["output_config"] = {
          {"format", {{"type", "json_schema"}, {"schema", ParseOwn(request.schema)}}}};
    }
    return Written(body);
  }

  void Take(const SseEvent& event, LlmAnswer* answer) const override {
    const std::optional<json> data = ParseForeign(event.data);
    if (!data || !data->is_object()) {
      answer->problem = {"output", "the stream holds something that is no JSON object"};
      return;
    }
    const std::string type = TextAt(*data, "type");
    if (type == "message_start") {
      const json& message = ObjectAt(*data, "message");
      answer->usage.model = TextAt(message, "model");
      TakeUsage(ObjectAt(message, "usage"), &answer->usage);
    } else if (type == "content_block_delta") {
      const json& delta = ObjectAt(*data, "delta");
      if (TextAt(delta, "type") == "text_delta") {
        absl::StrAppend(&answer->text, TextAt(delta, "text"));
      }
    } else if (type == "message_delta") {
      TakeUsage(ObjectAt(*data, "usage"), &answer->usage);
      TakeStop(TextAt(ObjectAt(*data, "delta"), "stop_reason"), answer);
    } else if (type == "message_stop") {
      answer->whole = true;
    } else if (type == "error") {
      answer->problem = ProblemInStream(Written(ObjectAt(*data, "error")));
    }  // ping, content_block_start, content_block_stop, and what may come
  }

 private:
  static void TakeStop(const std::string& stop, LlmAnswer* answer) {
    if (stop.empty()) return;
    answer->stop = stop;
    if (stop == "refusal") answer->problem = {"refusal", "the model refused to answer"};
    if (stop == "model_context_window_exceeded") {
      answer->problem = {"context", "question and answer do not fit into the model's context"};
    }
  }

  // input_tokens leaves out what went through the cache; ours has all. Later numbers replace
  // earlier ones: they are cumulative.
  static void TakeUsage(const json& given, run::Usage* usage) {
    if (given.contains("output_tokens")) usage->output_tokens = CountAt(given, "output_tokens");
    if (!given.contains("input_tokens")) return;
    usage->cache_read_tokens = CountAt(given, "cache_read_input_tokens");
    usage->cache_write_tokens = CountAt(given, "cache_creation_input_tokens");
    usage->input_tokens =
        CountAt(given, "input_tokens") + usage->cache_read_tokens + usage->cache_write_tokens;
  }
};

}  // namespace

const LlmAdapter& AnthropicAdapter() {
  static const Anthropic adapter;
  return adapter;
}

}  // namespace beamline::exec
