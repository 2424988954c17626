// `http` steps against a real server, on loopback: answers, redirects, silence, broken connections.
#include "daemon/exec/http_executor.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <atomic>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/exec/executor_fixture.h"
#include "tests/exec/http_server.h"

namespace beamline::exec {
namespace {

using Then = Reply::Then;
using flowspec::Effect;

// An executor on this machine, which may reach 127.0.0.1 but not its other addresses.
struct World {
  explicit World(HttpClient::Options options = {}) {
    if (!options.guard.Allows({"127.0.0.1", 1}, nullptr)) {
      options.guard = *HttpGuard::Parse("127.0.0.1", false);
    }
    client = std::make_unique<HttpClient>(std::move(options));
    executor = std::make_unique<HttpExecutor>(*client, "beamline/test");
  }
  ~World() { client.reset(); }

  ports::Attempt AttemptOf(const std::string& input, Effect effect = Effect::kPure) {
    ports::Attempt attempt;
    attempt.flow_name = "flow";
    attempt.path = absl::StrCat("ask[", ++count, "]");
    attempt.kind = flowspec::StepKind::kHttp;
    attempt.effect = effect;
    attempt.input = input;
    attempt.idempotency_key = "key";
    attempt.trace_id = "0123456789abcdef0123456789abcdef";
    attempt.timeout = kPatience;
    attempt.sensitive = {{"secret:token", "\"hush-hush\""}};
    return attempt;
  }
  Reported Start(const ports::Attempt& attempt) {
    Reported reported;
    executor->Start(attempt, reported.Callback());
    return reported;
  }
  run::ReportAttempt Run(const std::string& input, Effect effect = Effect::kPure) {
    return Start(AttemptOf(input, effect)).Wait();
  }

  int count = 0;
  std::unique_ptr<HttpClient> client;
  std::unique_ptr<HttpExecutor> executor;
};

std::string Get(const HttpServer& server, const std::string& target, const std::string& more = "") {
  return absl::StrCat(R"({"url":")", server.Url(target), "\"", more, "}");
}

std::string Post(const HttpServer& server, const std::string& target) {
  return Get(server, target, R"(,"method":"POST","body":{"a":1})");
}

std::string Printed(const char* command) {
  std::string text;
  FILE* pipe = popen(command, "r");
  char bytes[4096];
  for (size_t n; (n = fread(bytes, 1, sizeof bytes, pipe)) > 0;) text.append(bytes, n);
  pclose(pipe);
  return text;
}

TEST_CASE("a request says who it is for and whose it is") {
  HttpServer server([](const SeenRequest&) { return Answer(201, "made"); });
  World world;
  const run::ReportAttempt report =
      world.Run(Get(server, "/posts", R"(,"method":"POST","body":{"a":1},"query":{"q":"x y"})"));
  CHECK(report.outcome == run::Outcome::kSucceeded);
  CHECK(report.output.json() == R"({"body":"made","headers":{"content-length":"4"},"status":201})");
  REQUIRE(server.seen().size() == 1);
  const SeenRequest seen = server.seen()[0];
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/posts?q=x%20y");
  CHECK(seen.body == R"({"a":1})");
  CHECK(seen.Header("Host") == absl::StrCat("127.0.0.1:", server.port()));
  CHECK(seen.Header("Content-Type") == "application/json");
  CHECK(seen.Header("Idempotency-Key") == "key");
  CHECK(seen.Header("User-Agent") == "beamline/test");
  CHECK(seen.Header("traceparent").rfind("00-0123456789abcdef0123456789abcdef-", 0) == 0);
  CHECK(seen.Header("Expect") == "");
}

TEST_CASE("connections are kept, but not for what may not be repeated") {
  HttpServer server([](const SeenRequest&) { return Answer(200, ""); });
  World world;
  for (int i = 0; i < 3; ++i) CHECK(world.Run(Get(server, "/")).error.ok());
  CHECK(server.connections() == 1);
  for (int i = 0; i < 2; ++i) CHECK(world.Run(Post(server, "/"), Effect::kOnce).error.ok());
  CHECK(server.connections() == 3);
}

TEST_CASE("every method arrives as it is, an empty POST with its length") {
  HttpServer server([](const SeenRequest& request) {
    return request.method == "HEAD" ? Reply{"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"}
                                    : Answer(200, "");
  });
  World world;
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"}) {
    CAPTURE(method);
    CHECK(world.Run(Get(server, "/", absl::StrCat(R"(,"method":")", method, "\""))).error.ok());
    CHECK(server.seen().back().method == method);
    const bool length = server.seen().back().Header("Content-Length") == "0";
    CHECK(length == (method[0] == 'P'));
  }
}

TEST_CASE("statuses fail with their own kind unless they are expected") {
  HttpServer server([](const SeenRequest& request) {
    return request.target == "/busy" ? Answer(429, "slow down", "Retry-After: 3\r\n")
                                     : Answer(404, "nothing here");
  });
  World world;
  const run::ReportAttempt missing = world.Run(Get(server, "/x?key=1"));
  CHECK(missing.error.kind == "http:404");
  CHECK(missing.error.message ==
        absl::StrCat("GET ", server.Url("/x"), " answered 404 Not Found: nothing here"));
  CHECK(world.Run(Get(server, "/x", R"(,"expect":["2xx",404])")).error.ok());
  const run::ReportAttempt busy = world.Run(Get(server, "/busy"));
  CHECK(busy.error.kind == "http:429");
  CHECK(busy.retry_after == absl::Seconds(3));
}

TEST_CASE("a redirect is followed as its status says") {
  HttpServer server([](const SeenRequest& request) {
    if (request.target == "/end") return Answer(200, request.method + request.body);
    return Answer(std::stoi(request.target.substr(1)), "gone", "Location: end\r\n");
  });
  World world;
  const auto body = [&](const std::string& input) {
    return std::string(world.Run(input, Effect::kOnce).output.json().substr(0, 24));
  };
  CHECK(body(Post(server, "/303")).find(R"("GET")") != std::string::npos);
  CHECK(body(Post(server, "/302")).find(R"("GET")") != std::string::npos);
  CHECK(body(Post(server, "/307")).find(R"("POST{\"a\":1}")") != std::string::npos);
  CHECK(body(Get(server, "/301")).find(R"("GET")") != std::string::npos);
  CHECK(server.seen().back().Header("Content-Type") == "");
}

TEST_CASE("a redirect takes no credentials to another origin") {
  HttpServer other([](const SeenRequest&) { return Answer(200, ""); });
  HttpServer server([&](const SeenRequest& request) {
    if (request.target == "/here") return Answer(200, "");
    const std::string to = request.target == "/away" ? other.Url("/") : "/here";
    return Answer(307, "", absl::StrCat("Location: ", to, "\r\n"));
  });
  World world;
  const std::string credentials =
      R"(,"headers":{"x-key":{"secret":"token"},"cookie":"a=b","x-plain":"1"},)"
      R"("auth":{"bearer":{"secret":"token"}})";
  CHECK(world.Run(Get(server, "/back", credentials)).error.ok());
  CHECK(server.seen().back().target == "/here");
  CHECK(server.seen().back().Header("x-key") == "hush-hush");
  CHECK(server.seen().back().Header("authorization") == "Bearer hush-hush");
  CHECK(world.Run(Get(server, "/away", credentials)).error.ok());
  CHECK(other.seen().back().Header("x-plain") == "1");
  for (const char* name : {"x-key", "authorization", "cookie"}) {
    CAPTURE(name);
    CHECK(other.seen().back().Header(name) == "");
  }
}

TEST_CASE("neither a URL nor a redirect leads where the guard says no") {
  std::atomic<int> round = 0;
  const char* const places[] = {
      "http://127.0.0.2:1/",       "http://127.1.2.3:1/",
      "http://[::1]:1/",           "http://169.254.169.254/latest/meta-data",
      "http://[::ffff:10.0.0.1]/", "http://0x7f000002/"};
  HttpServer server([&](const SeenRequest&) {
    return Answer(302, "", absl::StrCat("Location: ", places[round], "\r\n"));
  });
  World world;
  for (round = 0; round < 6; ++round) {
    CAPTURE(std::string(places[round]));
    CHECK(world.Run(absl::StrCat(R"({"url":")", places[round], "\"}")).error.kind == "refused");
    const run::ReportAttempt redirected = world.Run(Post(server, "/"), Effect::kOnce);
    CHECK(redirected.error.kind == "refused");
    CHECK(redirected.outcome == run::Outcome::kFailed);
  }
}

TEST_CASE("redirects end: after ten, and at other schemes") {
  HttpServer server([](const SeenRequest& request) {
    const std::string to = request.target == "/file" ? "file:///etc/passwd" : "/again";
    return Answer(302, "", absl::StrCat("Location: ", to, "\r\n"));
  });
  World world;
  const run::ReportAttempt loop = world.Run(Get(server, "/again"));
  CHECK(loop.error.kind == "redirect");
  CHECK(loop.error.message.find("more than 10 times") != std::string::npos);
  CHECK(server.seen().size() == 11);
  CHECK(world.Run(Get(server, "/file")).error.kind == "redirect");
}

TEST_CASE("an answer over the limit ends at the limit") {
  std::string endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 9; ++i)
    absl::StrAppend(&endless, "100000\r\n", std::string(1 << 20, 'x'), "\r\n");
  HttpServer server([&](const SeenRequest& request) -> Reply {
    if (request.target == "/chunked") return {endless, Then::kHang};
    if (request.target == "/headers") {
      return {"HTTP/1.1 200 OK\r\nX: " + std::string(300'000, 'x') + "\r\n\r\n", Then::kClose};
    }
    return {"HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\nx", Then::kHang};
  });
  World world;
  const run::ReportAttempt report = world.Run(Get(server, "/length"));
  CHECK(report.error.kind == "output");
  CHECK(report.error.message.find("over 8192 KiB") != std::string::npos);
  CHECK(world.Run(Get(server, "/chunked")).error.kind == "output");
  CHECK_FALSE(world.Run(Get(server, "/headers")).error.ok());
}

TEST_CASE("compressed answers are unpacked, and a bomb counts unpacked") {
  const std::string hello = Printed("printf hello | gzip -c");
  const std::string bomb = Printed("head -c 16777216 /dev/zero | gzip -c");
  CHECK(bomb.size() < 20'000);
  HttpServer server([&](const SeenRequest& request) {
    const std::string& body = request.target == "/bomb" ? bomb : hello;
    return Answer(200, request.target == "/lie" ? "not gzip" : body, "Content-Encoding: gzip\r\n");
  });
  World world;
  CHECK(world.Run(Get(server, "/")).output.json().rfind(R"({"body":"hello")", 0) == 0);
  CHECK(server.seen().back().Header("Accept-Encoding") == "gzip, deflate");
  CHECK(world.Run(Get(server, "/bomb")).error.message.find("over 8192 KiB") != std::string::npos);
  CHECK(world.Run(Get(server, "/lie")).error.kind == "output");
}

TEST_CASE("a server that does not answer in time is a timeout") {
  HttpServer server([](const SeenRequest&) -> Reply { return {"", Then::kHang}; });
  World world;
  for (const Effect effect : {Effect::kPure, Effect::kOnce}) {
    ports::Attempt attempt = world.AttemptOf(Post(server, "/"), effect);
    attempt.timeout = absl::Milliseconds(150);
    const absl::Time before = absl::Now();
    const run::ReportAttempt report = world.Start(attempt).Wait();
    CHECK(absl::Now() - before >= absl::Milliseconds(140));
    CHECK(report.error.kind == "timeout");
    CHECK(report.error.message.find("timed out after 150ms") != std::string::npos);
    const bool once = effect == Effect::kOnce;
    CHECK(report.outcome == (once ? run::Outcome::kUnknown : run::Outcome::kFailed));
  }
}

TEST_CASE("a connection that breaks is unavailable, or unknown") {
  HttpServer server([](const SeenRequest& request) -> Reply {
    if (request.target == "/close") return {"", Then::kClose};
    if (request.target == "/reset") return {"HTTP/1.1 200 OK\r\n", Then::kReset};
    if (request.target == "/half") {
      return {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Then::kClose};
    }
    return {"SMTP is something else\r\n\r\n", Then::kClose};
  });
  World world;
  for (const char* target : {"/close", "/reset", "/half"}) {
    CAPTURE(target);
    const run::ReportAttempt pure = world.Run(Get(server, target));
    CHECK(pure.error.kind == "unavailable");
    CHECK(pure.outcome == run::Outcome::kFailed);
    const run::ReportAttempt once = world.Run(Post(server, target), Effect::kOnce);
    CHECK(once.outcome == run::Outcome::kUnknown);
  }
  CHECK(world.Run(Get(server, "/smtp")).error.kind == "output");
  // Each was asked once: a broken POST is not sent again behind our back.
  CHECK(server.seen().size() == 7);
}

TEST_CASE("who is not there is unavailable, and nothing is unknown about it") {
  int port = 0;
  {
    HttpServer gone([](const SeenRequest&) { return Answer(200, ""); });
    port = gone.port();
  }
  World world;
  const run::ReportAttempt refused = world.Run(
      absl::StrCat(R"({"method":"POST","url":"http://127.0.0.1:)", port, "/\"}"), Effect::kOnce);
  CHECK(refused.error.kind == "unavailable");
  CHECK(refused.outcome == run::Outcome::kFailed);
  const run::ReportAttempt nameless =
      world.Run(R"({"url":"http://no-such-host.invalid/"})", Effect::kOnce);
  CHECK(nameless.error.kind == "unavailable");
  CHECK(nameless.error.message.find("cannot find the host no-such-host.invalid") !=
        std::string::npos);
}

TEST_CASE("secrets do not show in outputs and messages, though the server echoes them") {
  HttpServer server([](const SeenRequest& request) {
    const std::string token = request.Header("x-key");
    if (request.target == "/fail") return Answer(500, "bad token " + token);
    return Answer(200, absl::StrCat("you are ", token, " ", absl::Base64Escape(token)),
                  absl::StrCat("X-Echo: ", token, "\r\n"));
  });
  World world;
  const std::string header = R"(,"headers":{"x-key":{"secret":"token"}})";
  const std::string output = world.Run(Get(server, "/", header)).output.json();
  CHECK(server.seen().back().Header("x-key") == "hush-hush");
  CHECK(output.find("you are ***") != std::string::npos);
  CHECK(output.find("hush") == std::string::npos);
  CHECK(output.find(absl::Base64Escape("hush-hush")) == std::string::npos);
  CHECK(world.Run(Get(server, "/fail", header)).error.message.find("bad token ***") !=
        std::string::npos);
}

TEST_CASE("a secret that would break the output's JSON fails the step") {
  HttpServer server([](const SeenRequest&) {
    return Answer(200, R"({"a":"b","c":1})", "Content-Type: application/json\r\n");
  });
  World world;
  ports::Attempt attempt = world.AttemptOf(Get(server, "/"));
  attempt.sensitive = {{"odd", R"("\":\"b\",")"}};  // the text ":"b","
  const run::ReportAttempt report = world.Start(attempt).Wait();
  CHECK(report.error.kind == "output");
  CHECK(report.error.message.find("a secret where *** cannot stand") != std::string::npos);
}

TEST_CASE(
    "a proxy is asked for names it finds itself, not for this machine and not for addresses") {
  HttpServer server([](const SeenRequest&) { return Answer(200, ""); });
  HttpServer proxy([](const SeenRequest&) { return Answer(200, "by proxy"); });
  HttpClient::Options options;
  options.proxy = proxy.Url("");
  World world(std::move(options));
  CHECK(world.Run(R"({"url":"http://somewhere.invalid/x"})").error.ok());
  CHECK(proxy.seen().back().target == "http://somewhere.invalid/x");
  CHECK(world.Run(Get(server, "/")).error.ok());
  CHECK(server.seen().size() == 1);
  CHECK(world.Run(R"({"url":"http://10.0.0.1/"})").error.kind == "refused");
  CHECK(proxy.seen().size() == 1);
}

TEST_CASE("the proxy of whoever started the daemon is not used") {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  HttpServer server([](const SeenRequest&) { return Answer(200, ""); });
  World world;
  CHECK(world.Run(Get(server, "/")).error.ok());
  unsetenv("http_proxy");
}

TEST_CASE("a request can be stopped, also one that still waits for its turn") {
  HttpServer server([](const SeenRequest&) -> Reply { return {"", Then::kHang}; });
  HttpClient::Options options;
  options.in_flight_max = 1;
  World world(std::move(options));
  const ports::Attempt first = world.AttemptOf(Post(server, "/"), Effect::kOnce);
  const ports::Attempt second = world.AttemptOf(Get(server, "/"));
  Reported one = world.Start(first), two = world.Start(second);
  CHECK(Eventually([&] { return server.seen().size() == 1; }));
  world.executor->Stop(second.run, second.path, 1, run::StopReason::kDeadline, false);
  CHECK(two.Wait().error.kind == "deadline");
  world.executor->Stop(first.run, first.path, 1, run::StopReason::kCancel, false);
  const run::ReportAttempt stopped = one.Wait();
  CHECK(stopped.outcome == run::Outcome::kStopped);
  CHECK(stopped.error.kind == "stopped");
  CHECK(server.seen().size() == 1);
}

TEST_CASE("what is under way when the client ends is reported") {
  HttpServer server([](const SeenRequest&) -> Reply { return {"", Then::kHang}; });
  World world;
  Reported pending = world.Start(world.AttemptOf(Get(server, "/")));
  CHECK(Eventually([&] { return server.seen().size() == 1; }));
  world.client.reset();
  CHECK(pending.Has());
}

TEST_CASE("a queue that is full says so at once") {
  HttpServer server([](const SeenRequest&) -> Reply { return {"", Then::kHang}; });
  HttpClient::Options options;
  options.in_flight_max = 1;
  options.waiting_max = 1;
  World world(std::move(options));
  Reported first = world.Start(world.AttemptOf(Get(server, "/")));
  Reported second = world.Start(world.AttemptOf(Get(server, "/")));
  const run::ReportAttempt third = world.Run(Get(server, "/"));
  CHECK(third.error.kind == "unavailable");
  CHECK_FALSE(first.Has());
  world.client.reset();
  CHECK(first.Has());
  CHECK(second.Has());
}

}  // namespace
}  // namespace beamline::exec
