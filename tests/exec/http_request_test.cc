// What an `http` step sends, and what is made of the answer, without a network.
#include "daemon/exec/http_request.h"

#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "daemon/exec/http_result.h"

namespace beamline::exec {
namespace {

ports::Attempt AttemptOf(const std::string& input) {
  ports::Attempt attempt;
  attempt.path = "ask[3]";
  attempt.kind = flowspec::StepKind::kHttp;
  attempt.input = input;
  attempt.idempotency_key = "run/ask/3";
  attempt.trace_id = "0123456789abcdef0123456789abcdef";
  attempt.sensitive = {{"secret:cms", "\"hush hush\""}};
  return attempt;
}

HttpRequest Request(const std::string& input) {
  const auto step = ReadHttpStep(AttemptOf(input), "beamline/test");
  REQUIRE_MESSAGE(step.ok(), step.status().ToString());
  return step->request;
}

std::string Refusal(const std::string& input) {
  return std::string(ReadHttpStep(AttemptOf(input), "beamline/test").status().message());
}

const HttpHeader* Find(const HttpRequest& request, const std::string& name) {
  for (const HttpHeader& header : request.headers) {
    if (header.name == name) return &header;
  }
  return nullptr;
}

std::string Value(const HttpRequest& request, const std::string& name) {
  const HttpHeader* header = Find(request, name);
  return header == nullptr ? "(none)" : header->value;
}

TEST_CASE("a GET brings no key along, others do, and a key of the flow's own wins") {
  CHECK(Value(Request(R"({"url":"http://h/"})"), "Idempotency-Key") == "(none)");
  CHECK(Value(Request(R"({"url":"http://h/","method":"POST"})"), "Idempotency-Key") == "run/ask/3");
  const HttpRequest own =
      Request(R"({"url":"http://h/","method":"POST","headers":{"idempotency-key":"mine"}})");
  CHECK(Value(own, "idempotency-key") == "mine");
  CHECK(Find(own, "Idempotency-Key") == nullptr);
}

TEST_CASE("a key that is not printable ASCII is escaped") {
  ports::Attempt attempt = AttemptOf(R"({"url":"http://h/","method":"PUT"})");
  attempt.idempotency_key = "run/ask/a b\r\nX: 1";
  const auto step = ReadHttpStep(attempt, "");
  CHECK(Value(step->request, "Idempotency-Key") == "run/ask/a%20b%0D%0AX:%201");
}

TEST_CASE("query parameters are escaped, lists repeat, null is left out") {
  CHECK(Request(R"({"url":"http://h/p?x=1","query":{"q":"a&b c","n":2,"l":["u",true],"z":null}})")
            .url == "http://h/p?x=1&q=a%26b%20c&n=2&l=u&l=true");
  CHECK(Refusal(R"({"url":"http://h/","query":{"q":{"a":1}}})") ==
        "`q` of `query` must be a text, a number or a truth value");
}

TEST_CASE("a body is JSON digit for digit, text as it is, or a form") {
  const HttpRequest json =
      Request(R"({"url":"http://h/","method":"POST","body":{"n":12345678901234567890123}})");
  CHECK(*json.body == R"({"n":12345678901234567890123})");
  CHECK(Value(json, "Content-Type") == "application/json");
  const HttpRequest text = Request(R"({"url":"http://h/","method":"POST","body":"a\nb"})");
  CHECK(*text.body == "a\nb");
  CHECK(Value(text, "Content-Type") == "text/plain; charset=utf-8");
  const HttpRequest form =
      Request(R"({"url":"http://h/","method":"POST","body":{"a":"1 2","b":[3,4]},)"
              R"("headers":{"content-type":"application/x-www-form-urlencoded"}})");
  CHECK(*form.body == "a=1%202&b=3&b=4");
  CHECK_FALSE(Request(R"({"url":"http://h/","method":"POST","body":null})").body);
}

TEST_CASE("secrets become credentials that stay with their origin") {
  const HttpRequest bearer = Request(R"({"url":"http://h/","auth":{"bearer":{"secret":"cms"}}})");
  CHECK(Value(bearer, "Authorization") == "Bearer hush hush");
  CHECK(Find(bearer, "Authorization")->own_origin);
  const HttpRequest basic =
      Request(R"({"url":"http://h/","auth":{"basic":{"user":"bot","password":{"secret":"cms"}}}})");
  CHECK(Value(basic, "Authorization") == "Basic Ym90Omh1c2ggaHVzaA==");
  const HttpRequest header =
      Request(R"({"url":"http://h/","headers":{"x-key":{"secret":"cms"},"x-n":7}})");
  CHECK(Find(header, "x-key")->own_origin);
  CHECK_FALSE(Find(header, "x-n")->own_origin);
  CHECK(Refusal(R"({"url":"http://h/","headers":{"x":{"secret":"nope"}}})") ==
        "the header `x`: the secret `nope` is not known");
}

TEST_CASE("headers cannot be smuggled in") {
  CHECK(Refusal(R"({"url":"http://h/","headers":{"x":"a\r\nHost: evil"}})") ==
        "the value of the header `x` has a line break or another control character");
  CHECK(Refusal(R"({"url":"http://h/","headers":{"x y":"a"}})") ==
        "`x y` cannot be the name of a header");
  CHECK(Refusal(R"({"url":"http://h/","headers":{"Content-Length":"3"}})") ==
        "the header `Content-Length` is the daemon's to set; leave it out");
}

TEST_CASE("a request that cannot be meant is refused") {
  CHECK(Refusal(R"({"method":"GET"})") == "`url` is missing");
  CHECK(Refusal(R"({"url":"http://h/","method":"FETCH"})") ==
        "`method` is `FETCH`, but must be GET, HEAD, PUT, DELETE, POST, PATCH or OPTIONS");
  CHECK(Refusal(R"({"url":"http://h/","method":"HEAD","body":"x"})") ==
        "a HEAD request has no `body`");
}

TEST_CASE("who expects a redirect gets to see it") {
  CHECK(Request(R"({"url":"http://h/","expect":["2xx",302]})").redirects_max == 0);
  CHECK(Request(R"({"url":"http://h/","expect":["2xx",404]})").redirects_max > 0);
  CHECK(IsExpected({"2xx", "404"}, 204));
  CHECK(IsExpected({"2xx", "404"}, 404));
  CHECK_FALSE(IsExpected({"2xx", "404"}, 500));
}

run::ReportAttempt Conclude(const HttpResponse& response,
                            flowspec::Effect effect = flowspec::Effect::kPure) {
  EndedRequest ended{.path = "ask", .effect = effect, .method = "POST", .shown_url = "http://h/"};
  ended.expect = {"2xx"};
  return ConcludeRequest(ended, response);
}

TEST_CASE("the output has status, headers and the body in the form that fits") {
  HttpResponse response{.status = 200};
  response.headers = {{"content-type", "Application/JSON; charset=utf-8"}, {"x", "1"}, {"x", "2"}};
  response.body = " {\"b\": 1, \"a\": [2]} ";
  CHECK(Conclude(response).output.json() ==
        R"({"json":{"a":[2],"b":1},"headers":{"content-type":"Application/JSON; charset=utf-8",)"
        R"("x":"1, 2"},"status":200})");
  response.headers = {};
  response.body = "plain \"text\"";
  CHECK(Conclude(response).output.json() ==
        R"({"body":"plain \"text\"","headers":{},"status":200})");
  response.body = std::string("\xff\0\1", 3);
  CHECK(Conclude(response).output.json() == R"({"body_base64":"/wAB","headers":{},"status":200})");
}

TEST_CASE("an answer that lies about being JSON fails") {
  HttpResponse response{.status = 200};
  response.headers = {{"content-type", "application/problem+json"}};
  response.body = "<html>";
  const run::ReportAttempt report = Conclude(response);
  CHECK(report.error.kind == "output");
  CHECK(report.error.message.find("the answer says that it is JSON, but ") != std::string::npos);
  response.body = std::string(100'000, '[');
  CHECK(Conclude(response).error.kind == "output");
}

TEST_CASE("another status fails under its own name, with what the server says") {
  HttpResponse response{.status = 503, .body = "back \x1b[31msoon"};
  response.headers = {{"retry-after", "7"}};
  const run::ReportAttempt report = Conclude(response);
  CHECK(report.outcome == run::Outcome::kFailed);
  CHECK(report.error.kind == "http:503");
  CHECK(report.error.message == "POST http://h/ answered 503 Service Unavailable: back soon");
  CHECK(report.retry_after == absl::Seconds(7));
}

TEST_CASE("Retry-After is seconds or a date, and at most a day") {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);  // Fri, 15 Jan 2027 08:00:00 GMT
  const auto after = [&](const std::string& value) {
    HttpResponse response;
    response.headers = {{"retry-after", value}};
    return RetryAfter(response, now);
  };
  CHECK(after("120") == absl::Minutes(2));
  CHECK(after("Fri, 15 Jan 2027 08:00:30 GMT") == absl::Seconds(30));
  CHECK(after("Fri, 15 Jan 2027 07:00:00 GMT") == absl::ZeroDuration());
  CHECK(after("9e99") == absl::Hours(24));
  CHECK(after("-5") == absl::ZeroDuration());
  CHECK(after("nan") == absl::ZeroDuration());
  CHECK(after("soon") == absl::ZeroDuration());
}

TEST_CASE("a request without an answer is unknown only if it may not happen twice") {
  HttpResponse response{.failure = HttpFailure::kCut, .message = "reset", .sent = true};
  CHECK(Conclude(response, flowspec::Effect::kOnce).outcome == run::Outcome::kUnknown);
  CHECK(Conclude(response, flowspec::Effect::kIdempotent).outcome == run::Outcome::kFailed);
  CHECK(Conclude(response).error.kind == "unavailable");
  response.sent = false;
  CHECK(Conclude(response, flowspec::Effect::kOnce).outcome == run::Outcome::kFailed);
  response = {.failure = HttpFailure::kUnreachable, .message = "refused", .sent = true};
  CHECK(Conclude(response, flowspec::Effect::kOnce).outcome == run::Outcome::kFailed);
  response = {.failure = HttpFailure::kTimeout, .message = "late", .sent = true};
  CHECK(Conclude(response, flowspec::Effect::kOnce).error.kind == "timeout");
  // A status that says no is an answer, though the rest of it was lost.
  response = {.failure = HttpFailure::kCut, .message = "reset", .sent = true, .status = 500};
  CHECK(Conclude(response, flowspec::Effect::kOnce).error.kind == "http:500");
}

}  // namespace
}  // namespace beamline::exec
