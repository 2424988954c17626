// `llm` steps without a network: event streams, the two wire formats, errors, schemas, recordings.
#include <doctest/doctest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "daemon/exec/llm_adapter.h"
#include "daemon/exec/llm_recorded.h"
#include "daemon/exec/llm_step.h"
#include "daemon/exec/sse_parser.h"
#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

using Kind = LlmProvider::Kind;

// "name=data;name=data" of a stream fed in pieces of `step` bytes.
std::string Events(const std::string& stream, size_t step) {
  SseParser parser;
  std::string seen;
  for (size_t at = 0; at < stream.size(); at += step) {
    parser.Feed(std::string_view(stream).substr(at, step), [&](const SseEvent& event) {
      absl::StrAppend(&seen, seen.empty() ? "" : ";", event.name, "=", event.data);
    });
  }
  return seen;
}

TEST_CASE("events are the same however the stream is cut and its lines end") {
  const std::string stream =
      ": a comment\r\n\r\nevent: first\r\ndata: one\r\ndata:two\r\n\r\n"
      "id: 7\rretry: 5\rdata:  three\r\rdata\n\nevent: nothing\n\ndata: never ended\n";
  for (const size_t step : {1, 2, 3, 7, 1000}) {
    CAPTURE(step);
    CHECK(Events(stream, step) == "first=one\ntwo;message= three;message=");
  }
}

TEST_CASE("an event without an end is given up") {
  SseParser parser;
  const std::string piece(1 << 20, 'x');
  CHECK(parser.Feed("data: ", [](const SseEvent&) {}));
  for (int i = 0; i < 3; ++i) CHECK(parser.Feed(piece, [](const SseEvent&) {}));
  CHECK_FALSE(parser.Feed(piece, [](const SseEvent&) {}));
  CHECK_FALSE(parser.Feed("\n\ndata: x\n\n", [](const SseEvent&) { FAIL("read on"); }));
}

LlmAnswer Fold(const LlmAdapter& adapter, const std::vector<std::string>& data) {
  LlmAnswer answer;
  for (const std::string& text : data) adapter.Take({"", text}, &answer);
  return answer;
}

TEST_CASE("Chat Completions: text, stop and usage, which comes in a chunk without choices") {
  const LlmAnswer answer =
      Fold(OpenAiAdapter(),
           {R"({"model":"m-1","choices":[{"delta":{"role":"assistant","content":""}}]})",
            R"({"model":"m-1","choices":[{"delta":{"content":"Hel"},"finish_reason":null}]})",
            R"({"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}],"usage":null})",
            R"({"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":7,)"
            R"("prompt_tokens_details":{"cached_tokens":4},)"
            R"("completion_tokens_details":{"reasoning_tokens":3}}})",
            "[DONE]"});
  CHECK(answer.text == "Hello");
  CHECK(answer.stop == "stop");
  CHECK(answer.whole);
  CHECK(answer.problem.kind == "");
  CHECK(answer.usage.model == "m-1");
  CHECK(answer.usage.input_tokens == 12);
  CHECK(answer.usage.cache_read_tokens == 4);
  CHECK(answer.usage.output_tokens == 7);
  CHECK(answer.usage.reasoning_tokens == 3);
}

TEST_CASE("Messages: input is what was read anew and what came from the cache") {
  const LlmAnswer answer = Fold(
      AnthropicAdapter(),
      {R"({"type":"message_start","message":{"model":"c-1","usage":{"input_tokens":10,)"
       R"("cache_read_input_tokens":100,"cache_creation_input_tokens":1000,"output_tokens":1}}})",
       R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})",
       R"({"type":"ping"})",
       R"({"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}})",
       R"({"type":"content_block_delta","delta":{"type":"text_delta","text":"Hel"}})",
       R"({"type":"content_block_delta","delta":{"type":"text_delta","text":"lo"}})",
       R"({"type":"something_new"})",
       R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}})",
       R"({"type":"message_stop"})"});
  CHECK(answer.text == "Hello");
  CHECK(answer.stop == "end_turn");
  CHECK(answer.whole);
  CHECK(answer.usage.input_tokens == 1110);
  CHECK(answer.usage.cache_read_tokens == 100);
  CHECK(answer.usage.cache_write_tokens == 1000);
  CHECK(answer.usage.output_tokens == 9);
}

TEST_CASE("what breaks off a stream becomes its problem") {
  const auto kind = [](const LlmAdapter& adapter, const char* data) {
    return Fold(adapter, {data}).problem.kind;
  };
  CHECK(kind(OpenAiAdapter(), R"({"error":{"type":"server_error","message":"x"}})") ==
        "unavailable");
  CHECK(kind(OpenAiAdapter(), R"({"error":"some servers say it so"})") == "unavailable");
  CHECK(kind(OpenAiAdapter(), R"({"choices":[{"delta":{"refusal":"I will not"}}]})") == "refusal");
  CHECK(kind(OpenAiAdapter(), R"({"choices":[{"finish_reason":"content_filter"}]})") == "filtered");
  CHECK(kind(AnthropicAdapter(), R"({"type":"error","error":{"type":"overloaded_error"}})") ==
        "overloaded");
  CHECK(kind(AnthropicAdapter(), R"({"type":"message_delta","delta":{"stop_reason":"refusal"}})") ==
        "refusal");
  for (const LlmAdapter* adapter : {&OpenAiAdapter(), &AnthropicAdapter()}) {
    CHECK(kind(*adapter, "not json") == "output");
    CHECK(kind(*adapter, "[1]") == "output");
    CHECK(kind(*adapter, std::string(100'000, '[').c_str()) == "output");
  }
}

TEST_CASE("values of the wrong type are as good as missing") {
  for (const char* data :
       {R"({"choices":[7],"usage":3})", R"({"choices":{"a":1},"model":5})",
        R"({"choices":[{"delta":[],"finish_reason":1}],"usage":{"prompt_tokens":"many"}})",
        R"({"usage":{"prompt_tokens":-5,"completion_tokens":1e300}})"}) {
    CAPTURE(std::string(data));
    const LlmAnswer answer = Fold(OpenAiAdapter(), {data});
    CHECK(answer.text == "");
    CHECK(answer.usage == run::Usage());
  }
  CHECK(Fold(AnthropicAdapter(), {R"({"type":["message_start"],"message":1})",
                                  R"({"type":"content_block_delta","delta":"x"})"})
            .text == "");
}

struct Case {
  Kind provider;
  int status;
  const char* body;
  std::vector<HttpHeader> headers;
  const char* kind;
};

TEST_CASE("errors are sorted by what can be done about them") {
  const Case cases[] = {
      {Kind::kOpenAi, 429, R"({"error":{"code":"rate_limit_exceeded"}})", {}, "rate"},
      {Kind::kOpenAi, 429, R"({"error":{"code":"insufficient_quota"}})", {}, "quota"},
      {Kind::kOpenAi, 400, R"({"error":{"code":"context_length_exceeded"}})", {}, "context"},
      {Kind::kOpenAi, 400, R"({"error":{"message":"Unknown parameter"}})", {}, "input"},
      {Kind::kOpenAi, 401, R"({"error":{"code":"invalid_api_key"}})", {}, "auth"},
      {Kind::kOpenAi, 404, "", {}, "not_found"},
      {Kind::kOpenAi, 500, "<html>", {}, "unavailable"},
      {Kind::kOpenAi, 500, "", {{"x-should-retry", "false"}}, "provider"},
      {Kind::kOpenAi, 400, "", {{"x-should-retry", "true"}}, "unavailable"},
      {Kind::kOpenAi, 402, "", {}, "quota"},
      {Kind::kAnthropic, 429, R"({"error":{"type":"rate_limit_error"}})", {}, "quota"},
      {Kind::kAnthropic,
       429,
       R"({"error":{"type":"rate_limit_error"}})",
       {{"retry-after", "9"}},
       "rate"},
      {Kind::kAnthropic, 529, R"({"error":{"type":"overloaded_error"}})", {}, "overloaded"},
      {Kind::kAnthropic, 413, R"({"error":{"type":"request_too_large"}})", {}, "too_large"},
      {Kind::kAnthropic,
       400,
       R"({"error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}})",
       {},
       "context"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.status);
    CAPTURE(std::string(c.body));
    HttpResponse response{.status = c.status};
    response.headers = c.headers;
    response.body = c.body;
    CHECK(ProblemOf(c.provider, response, absl::UnixEpoch()).kind == c.kind);
  }
  HttpResponse slow{.status = 429};
  slow.headers = {{"retry-after", "9"}, {"retry-after-ms", "1500"}};
  CHECK(ProblemOf(Kind::kOpenAi, slow, absl::UnixEpoch()).retry_after == absl::Milliseconds(1500));
}

LlmProviders Providers() {
  LlmProviders providers;
  providers.by_name["openai"] = {
      .name = "openai", .kind = Kind::kOpenAi, .base_url = "https://api.openai.com/v1"};
  providers.by_name["claude"] = {.name = "claude", .kind = Kind::kAnthropic};
  providers.by_name["local"] = {
      .name = "local",
      .kind = Kind::kOpenAi,
      .base_url = "http://localhost:11434/v1",
      .models = {{.model = "cold*", .temperature = false}, {.model = "plain", .schema = false}}};
  providers.routes["writer"] = "local/llama:8b";
  return providers;
}

absl::StatusOr<LlmStep> Read(const std::string& input, const LlmProviders& providers) {
  ports::Attempt attempt;
  attempt.input = input;
  return ReadLlmStep(attempt, providers);
}

std::string Body(const std::string& input) {
  const LlmProviders providers = Providers();
  const auto step = Read(input, providers);
  REQUIRE_MESSAGE(step.ok(), step.status().ToString());
  return AdapterOf(step->provider->kind).Body(*step->provider, step->request);
}

TEST_CASE("what is asked, in the words of the two formats") {
  CHECK(Body(R"({"route":"writer","prompt":"Hi","max_tokens":9,"temperature":0.25})") ==
        R"({"max_tokens":9,"messages":[{"content":"Hi","role":"user"}],"model":"llama:8b",)"
        R"("stream":true,"stream_options":{"include_usage":true},"temperature":0.25})");
  CHECK(Body(R"({"model":"openai/gpt-x","prompt":{"a":1},"system":"S","max_tokens":9,)"
             R"("schema":{"type":"object"}})") ==
        R"({"max_completion_tokens":9,"messages":[{"content":"S","role":"system"},)"
        R"({"content":"{\"a\":1}","role":"user"}],"model":"gpt-x","response_format":)"
        R"({"json_schema":{"name":"answer","schema":{"type":"object"}},"type":"json_schema"},)"
        R"("stream":true,"stream_options":{"include_usage":true}})");
  CHECK(Body(R"({"model":"claude/c-1","messages":[{"role":"system","content":"S"},)"
             R"({"role":"user","content":"Q"},{"role":"assistant","content":"A"},)"
             R"({"role":"user","content":"R"}]})") ==
        R"({"max_tokens":8192,"messages":[{"content":"Q","role":"user"},)"
        R"({"content":"A","role":"assistant"},{"content":"R","role":"user"}],"model":"c-1",)"
        R"("stream":true,"system":"S"})");
}

TEST_CASE("a model that takes no schema is told in words") {
  const std::string body = Body(R"({"model":"local/plain","prompt":"Q","schema":{"type":"null"}})");
  CHECK(body.find("response_format") == std::string::npos);
  CHECK(body.find(R"(JSON Schema:\n{\"type\":\"null\"})") != std::string::npos);
}

TEST_CASE("what cannot be asked is refused before anybody is asked") {
  const LlmProviders providers = Providers();
  const auto refusal = [&](const std::string& input) { return Read(input, providers).status(); };
  CHECK(refusal(R"({"route":"judge","prompt":"x"})").message() ==
        "there is no route `judge`; the daemon's configuration has writer");
  CHECK(refusal(R"({"model":"groq/x","prompt":"x"})").message() ==
        "there is no provider `groq`; the daemon's configuration has claude, local, openai");
  CHECK(refusal(R"({"model":"gpt","prompt":"x"})").message() ==
        "`model` is `gpt`, but must be provider/model");
  for (const char* model : {"openai/o3-mini", "openai/gpt-5.1", "local/cold-1"}) {
    CAPTURE(std::string(model));
    const absl::Status status =
        refusal(absl::StrCat(R"({"model":")", model, R"(","prompt":"x","temperature":1})"));
    CHECK(status.code() == absl::StatusCode::kUnimplemented);
  }
  CHECK_FALSE(refusal(R"({"model":"local/m","messages":[{"role":"tool","content":"x"}]})").ok());
  CHECK_FALSE(refusal(R"({"model":"local/m","messages":[]})").ok());
  CHECK_FALSE(refusal(R"({"model":"local/m","prompt":"x","max_tokens":0})").ok());
  CHECK_FALSE(refusal(R"({"model":"local/m","prompt":"x","schema":{"$ref":"#/x"}})").ok());
}

TEST_CASE("the output is the text, or the JSON in it") {
  std::vector<std::string> problems;
  CHECK(OutputOfAnswer({}, "a \"b\"", &problems) == R"("a \"b\"")");
  LlmStep step;
  step.schema = R"({"type":"object","required":["a"]})";
  CHECK(OutputOfAnswer(step, " {\"b\": 2, \"a\": 1}\n", &problems) == R"({"a":1,"b":2})");
  CHECK(OutputOfAnswer(step, "```json\n{\"a\": 1}\n```\n", &problems) == R"({"a":1})");
  CHECK(problems.empty());
  for (const char* bad : {"{}", "Sure! {\"a\":1}", "", "```", "{\"a\":\"\xff\"}"}) {
    CAPTURE(std::string(bad));
    problems.clear();
    CHECK(OutputOfAnswer(step, bad, &problems) == "");
    CHECK(problems.size() == 1);
  }
}

TEST_CASE("recorded answers go by step, attempt and round") {
  const TemporaryDirectory dir;
  const std::string file = dir / "answers.json";
  std::ofstream(file) << R"({"responses": {
      "write": ["one", {"json": {"a": 1}, "usage": {"input_tokens": 3, "output_tokens": 4}}],
      "each": [["bad", "good"]],
      "each[1]": [{"error": {"kind": "rate", "message": "slow down"}}],
      "odd": [7]}})";
  const std::string recording = ReadRecording(file).value_or("");
  const auto answer = [&](const char* path, int attempt, int round) {
    return RecordedAnswer(recording, file, path, attempt, round);
  };
  const auto text = [&](const char* path, int attempt, int round) {
    return answer(path, attempt, round)->text;
  };
  CHECK(text("write", 1, 0) == "one");
  CHECK(text("write", 2, 0) == R"({"a":1})");
  CHECK(text("write", 9, 0) == R"({"a":1})");
  CHECK(answer("write", 2, 0)->usage.output_tokens == 4);
  CHECK(text("each[0]", 1, 0) == "bad");
  CHECK(text("each[0]", 1, 1) == "good");
  CHECK(answer("each[1]", 1, 0)->problem.kind == "rate");
  CHECK(absl::IsNotFound(answer("other", 1, 0).status()));
  CHECK(absl::IsFailedPrecondition(answer("odd", 1, 0).status()));
  CHECK(absl::IsFailedPrecondition(ReadRecording(dir / "none").status()));
  CHECK(absl::IsFailedPrecondition(RecordedAnswer("[1]", file, "write", 1, 0).status()));
}

}  // namespace
}  // namespace beamline::exec
