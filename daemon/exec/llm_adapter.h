// What providers of language models differ in: the words of their wire formats.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/exec/http_client.h"
#include "daemon/exec/llm_model.h"
#include "daemon/exec/llm_provider.h"
#include "daemon/exec/sse_parser.h"

namespace beamline::exec {

// Immutable, so it may be shared by threads.
class LlmAdapter {
 public:
  virtual ~LlmAdapter() = default;

  // Where below the provider's base URL is asked.
  virtual std::string Path() const = 0;
  // The headers that say who asks; `key` may be empty.
  virtual std::vector<HttpHeader> Headers(const std::string& key) const = 0;
  // The request's body, JSON, that asks for a stream.
  virtual std::string Body(const LlmProvider& provider, const LlmRequest& request) const = 0;
  // Folds one event of the stream into `answer`. What cannot be understood becomes its problem.
  virtual void Take(const SseEvent& event, LlmAnswer* answer) const = 0;
};

const LlmAdapter& OpenAiAdapter();     // Chat Completions
const LlmAdapter& AnthropicAdapter();  // Messages
// REQUIRES: a kind that is asked over HTTP.
const LlmAdapter& AdapterOf(LlmProvider::Kind kind);

// What a status that is not 2xx means, from the body's {"error": {"type": …, "code": …, "message":
// …}} and the headers; OpenAI's and Anthropic's words are both known here, since many speak the
// format of one with the codes of their own.
LlmProblem ProblemOf(LlmProvider::Kind kind, const HttpResponse& response, absl::Time now);

// Likewise for an error in the middle of a stream: `error` is the object's JSON text.
LlmProblem ProblemInStream(const std::string& error);

}  // namespace beamline::exec
