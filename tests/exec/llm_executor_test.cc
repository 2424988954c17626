// `llm` steps against a server that speaks like a provider.
#include "daemon/exec/llm_executor.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "flowspec/expr.h"
#include "tests/exec/executor_fixture.h"
#include "tests/exec/http_server.h"

namespace beamline::exec {
namespace {

using Then = Reply::Then;

// A stream of Chat Completions that says `text` in two pieces.
Reply Says(const std::string& text, const std::string& stop = "stop") {
  const auto delta = [](const std::string& piece, const std::string& stop) {
    return absl::StrCat(R"(data: {"model":"m-1","choices":[{"delta":{"content":)",
                        flowspec::QuoteJson(piece), "},\"finish_reason\":", stop, "}]}\n\n");
  };
  const size_t half = text.size() / 2;
  return Answer(
      200,
      absl::StrCat(delta(text.substr(0, half), "null"),
                   delta(text.substr(half), absl::StrCat("\"", stop, "\"")),
                   R"(data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}})",
                   "\n\ndata: [DONE]\n\n"),
      "Content-Type: text/event-stream\r\nX-Request-Id: req-1\r\n");
}

struct World {
  explicit World(std::function<Reply(const SeenRequest&)> handle) : server(std::move(handle)) {
    setenv("LLM_TEST_KEY", "sk-very-secret", 1);
    LlmProviders providers;
    providers.by_name["p"] = {
        .name = "p", .base_url = server.Url("/v1"), .key_env = "LLM_TEST_KEY"};
    providers.by_name["keyless"] = {
        .name = "keyless", .base_url = server.Url("/v1"), .key_env = "LLM_TEST_NO_KEY"};
    client = std::make_unique<HttpClient>(HttpClient::Options{});
    executor = std::make_unique<LlmExecutor>(*client, providers, "beamline/test", sink);
  }
  ~World() { client.reset(); }

  ports::Attempt AttemptOf(const std::string& more, const char* model = "p/m") {
    ports::Attempt attempt;
    attempt.path = "ask";
    attempt.kind = flowspec::StepKind::kLlm;
    attempt.input = absl::StrCat(R"({"model":")", model, R"(","prompt":"Q")", more, "}");
    attempt.timeout = kPatience;
    return attempt;
  }
  Reported Start(const ports::Attempt& attempt) {
    Reported reported;
    executor->Start(attempt, reported.Callback());
    return reported;
  }
  run::ReportAttempt Run(const std::string& more = "") { return Start(AttemptOf(more)).Wait(); }

  HttpServer server;
  MemorySink sink;
  std::unique_ptr<HttpClient> client;
  std::unique_ptr<LlmExecutor> executor;
};

TEST_CASE("the answer is printed as it comes, handed on, and counted") {
  World world([](const SeenRequest&) { return Says("Hello you"); });
  const run::ReportAttempt report = world.Run();
  CHECK(report.output.json() == "\"Hello you\"");
  CHECK(world.sink.Text(ports::OutputStream::kStdout) == "Hello you\n");
  CHECK(report.usage == run::Usage{.provider = "p",
                                   .model = "m-1",
                                   .request_id = "req-1",
                                   .requests = 1,
                                   .input_tokens = 10,
                                   .output_tokens = 5});
  const SeenRequest seen = world.server.seen().at(0);
  CHECK(seen.target == "/v1/chat/completions");
  CHECK(seen.Header("Authorization") == "Bearer sk-very-secret");
  CHECK(seen.Header("User-Agent") == "beamline/test");
}

TEST_CASE("what was said is printed while more is to come") {
  World world([](const SeenRequest&) -> Reply {
    return {
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"Once upon \"}}]}\n\n",
        Then::kHang};
  });
  const Reported pending = world.Start(world.AttemptOf(""));
  CHECK(Eventually([&] { return world.sink.Text(ports::OutputStream::kStdout) == "Once upon "; }));
  CHECK_FALSE(pending.Has());
}

const std::string kSchema = R"(,"schema":{"type":"object","required":["a"]})";

TEST_CASE("an answer that does not fit is sent back, and all requests are counted") {
  int asked = 0;
  World world([&](const SeenRequest&) { return Says(++asked < 3 ? "{}" : "{\"a\":1}"); });
  const run::ReportAttempt report = world.Run(kSchema + R"(,"repair":2)");
  CHECK(report.output.json() == "{\"a\":1}");
  CHECK(report.usage.requests == 3);
  CHECK(report.usage.input_tokens == 30);
  CHECK(report.usage.output_tokens == 15);
  const std::string last = world.server.seen().at(2).body;
  CHECK(absl::StrContains(last, R"({"content":"{}","role":"assistant"})"));
  CHECK(absl::StrContains(last, "Your answer does not fit"));
  CHECK(world.sink.Text(ports::OutputStream::kStdout) == "{}\n{}\n{\"a\":1}\n");
}

TEST_CASE("after the last repair the step fails, its usage counted all the same") {
  World world([](const SeenRequest&) { return Says("no JSON"); });
  const run::ReportAttempt report = world.Run(kSchema + R"(,"repair":1)");
  CHECK(report.error.kind == "schema");
  CHECK(absl::StrContains(report.error.message, "asked 2 times: it is no JSON value"));
  CHECK(report.usage.requests == 2);
}

TEST_CASE("streams that end early, are cut or are none at all") {
  World world([](const SeenRequest& request) -> Reply {
    const std::string half = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    if (absl::StrContains(request.body, "\"early\"")) {
      return Answer(200, half, "Content-Type: text/event-stream\r\n");
    }
    if (absl::StrContains(request.body, "\"cut\"")) {
      return {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n" +
                  half,
              Then::kClose};
    }
    if (absl::StrContains(request.body, "\"page\"")) {
      return Answer(200, "<html>", "Content-Type: text/html\r\n");
    }
    return Says("some", "length");
  });
  const auto error = [&](const char* model) {
    return world.Start(world.AttemptOf("", model)).Wait().error;
  };
  CHECK(error("p/early").kind == "unavailable");
  CHECK(error("p/cut").kind == "unavailable");
  CHECK(error("p/page").message ==
        "p did not answer with an event stream, but with text/html; is its base_url right?");
  CHECK(error("p/long").kind == "length");
}

TEST_CASE("a provider's error keeps its pause, and the key stays hidden though it is echoed") {
  World world([](const SeenRequest& request) {
    return Answer(429,
                  absl::StrCat(R"({"error":{"code":"rate_limit_exceeded","message":"key )",
                               request.Header("Authorization"), R"( is too fast"}})"),
                  "retry-after-ms: 2500\r\n");
  });
  const run::ReportAttempt report = world.Run();
  CHECK(report.error.kind == "rate");
  CHECK(report.error.message == "p answered 429: key Bearer *** is too fast");
  CHECK(report.retry_after == absl::Milliseconds(2500));
  CHECK(report.usage.requests == 1);
}

TEST_CASE("bytes that are no UTF-8 do not reach the log") {
  World world([](const SeenRequest&) {
    return Answer(200, "data: {\"choices\":[{\"delta\":{\"content\":\"caf\xe9\"}}]}\n\n",
                  "Content-Type: text/event-stream\r\n");
  });
  CHECK(world.Run().error.kind == "output");
}

TEST_CASE("an endless answer ends at the limit") {
  World world([](const SeenRequest&) {
    std::string stream;
    const std::string delta = absl::StrCat("data: {\"choices\":[{\"delta\":{\"content\":\"",
                                           std::string(1 << 20, 'x'), "\"}}]}\n\n");
    for (int i = 0; i < 10; ++i) stream += delta;
    return Answer(200, stream, "Content-Type: text/event-stream\r\n");
  });
  world.sink.KeepNothing();
  CHECK(world.Run().error.message == "p the answer is over 8 MiB");
}

TEST_CASE("a missing key is said before anybody is asked") {
  World world([](const SeenRequest&) { return Says("x"); });
  const run::ReportAttempt report = world.Start(world.AttemptOf("", "keyless/m")).Wait();
  CHECK(report.error.kind == "secret");
  CHECK(absl::StrContains(report.error.message, "$LLM_TEST_NO_KEY is not set"));
  CHECK(world.server.seen().empty());
}

TEST_CASE("a talk can be stopped, and runs out of time") {
  World world([](const SeenRequest&) -> Reply { return {"", Then::kHang}; });
  const ports::Attempt attempt = world.AttemptOf("");
  Reported reported = world.Start(attempt);
  CHECK(Eventually([&] { return world.server.seen().size() == 1; }));
  world.executor->Stop(attempt.run, "ask", 1, run::StopReason::kCancel, false);
  CHECK(reported.Wait().error.kind == "stopped");
  ports::Attempt late = world.AttemptOf("");
  late.timeout = absl::Milliseconds(100);
  CHECK(world.Start(late).Wait().error.kind == "timeout");
}

}  // namespace
}  // namespace beamline::exec
