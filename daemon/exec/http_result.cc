// Servers are strangers: what they say is bounded, checked and made printable.
#include "daemon/exec/http_result.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/exec/http_request.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/step_output.h"
#include "flowspec/expr.h"

namespace beamline::exec {
namespace {

constexpr size_t kMessageBytesMax = 2000;
constexpr size_t kExcerptBytesMax = 300;
constexpr size_t kHeaderValueBytesMax = 16 << 10;
constexpr absl::Duration kRetryAfterMax = absl::Hours(24);

std::string Hidden(const EndedRequest& step, absl::string_view text) {
  std::string plain(text);
  return step.redactor == nullptr ? plain : step.redactor->Redact(plain);
}

run::ReportAttempt Report(const EndedRequest& step, run::Outcome outcome, absl::string_view kind,
                          absl::string_view message) {
  run::ReportAttempt report{.path = step.path, .attempt = step.attempt, .outcome = outcome};
  report.error = {std::string(kind), PrintableLine(Hidden(step, message), kMessageBytesMax)};
  return report;
}

std::string Asked(const EndedRequest& step) {
  return absl::StrCat(step.method, " ", step.shown_url);
}

const char* Reason(int status) {
  static const absl::btree_map<int, const char*> kReasons = {{301, " Moved Permanently"},
                                                             {302, " Found"},
                                                             {304, " Not Modified"},
                                                             {400, " Bad Request"},
                                                             {401, " Unauthorized"},
                                                             {403, " Forbidden"},
                                                             {404, " Not Found"},
                                                             {405, " Method Not Allowed"},
                                                             {408, " Request Timeout"},
                                                             {409, " Conflict"},
                                                             {410, " Gone"},
                                                             {412, " Precondition Failed"},
                                                             {413, " Content Too Large"},
                                                             {415, " Unsupported Media Type"},
                                                             {422, " Unprocessable Content"},
                                                             {425, " Too Early"},
                                                             {429, " Too Many Requests"},
                                                             {500, " Internal Server Error"},
                                                             {501, " Not Implemented"},
                                                             {502, " Bad Gateway"},
                                                             {503, " Service Unavailable"},
                                                             {504, " Gateway Timeout"}};
  const auto found = kReasons.find(status);
  return found == kReasons.end() ? "" : found->second;
}

bool SaysJson(const HttpResponse& response) {
  const std::string* type = response.Find("content-type");
  if (type == nullptr) return false;
  const absl::string_view media =
      absl::StripAsciiWhitespace(absl::string_view(*type).substr(0, type->find(';')));
  return absl::EqualsIgnoreCase(media, "application/json") ||
         absl::EndsWithIgnoreCase(media, "+json");
}

// {"content-type":"text/plain",…}
std::string HeadersJson(const HttpResponse& response) {
  absl::btree_map<std::string, std::string> joined;
  for (const HttpHeader& header : response.headers) {
    std::string& value = joined[PrintableLine(header.name, kHeaderValueBytesMax)];
    absl::StrAppend(&value, value.empty() ? "" : ", ",
                    PrintableLine(header.value, kHeaderValueBytesMax));
  }
  std::string json;
  for (const auto& [name, value] : joined) {
    absl::StrAppend(&json, json.empty() ? "{" : ",", flowspec::QuoteJson(name), ":",
                    flowspec::QuoteJson(value));
  }
  return json.empty() ? "{}" : json + "}";
}

// The member of the output that holds the body.
absl::StatusOr<std::string> BodyJson(const EndedRequest& step, const HttpResponse& response) {
  if (SaysJson(response) && !response.body.empty()) {
    const absl::StatusOr<std::string> json = CaptureJson(response.body);
    if (!json.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the answer says that it is JSON, but ", json.status().message()));
    }
    return absl::StrCat("\"json\":", *json);
  }
  const std::string body = Hidden(step, response.body);
  if (IsUtf8(body)) return absl::StrCat("\"body\":", flowspec::QuoteJson(body));
  return absl::StrCat("\"body_base64\":\"", absl::Base64Escape(body), "\"");
}

run::ReportAttempt Answered(const EndedRequest& step, const HttpResponse& response) {
  const absl::StatusOr<std::string> body = BodyJson(step, response);
  if (!body.ok()) {
    return Report(step, run::Outcome::kFailed, "output",
                  absl::StrCat(Asked(step), ": ", body.status().message()));
  }
  const std::string output = absl::StrCat("{", *body, ",\"headers\":", HeadersJson(response),
                                          ",\"status\":", response.status, "}");
  std::string hidden = Hidden(step, output);
  if (hidden != output && !IsJson(hidden)) {
    return Report(
        step, run::Outcome::kFailed, "output",
        absl::StrCat(Asked(step), ": the answer has a secret where *** cannot stand for it"));
  }
  run::ReportAttempt report{.path = step.path, .attempt = step.attempt};
  report.output = run::Value::Json(std::move(hidden));
  return report;
}

run::ReportAttempt WrongStatus(const EndedRequest& step, const HttpResponse& response) {
  std::string message =
      absl::StrCat(Asked(step), " answered ", response.status, Reason(response.status));
  const std::string excerpt =
      PrintableLine(Hidden(step, absl::string_view(response.body).substr(0, 4 * kExcerptBytesMax)),
                    kExcerptBytesMax);
  if (!excerpt.empty()) absl::StrAppend(&message, ": ", excerpt);
  run::ReportAttempt report =
      Report(step, run::Outcome::kFailed, absl::StrCat("http:", response.status), message);
  report.retry_after = RetryAfter(response, absl::Now());
  return report;
}

}  // namespace

const char* KindOf(HttpFailure failure) {
  switch (failure) {
    case HttpFailure::kInvalid:
      return "input";
    case HttpFailure::kRefused:
      return "refused";
    case HttpFailure::kTls:
      return "tls";
    case HttpFailure::kTimeout:
      return "timeout";
    case HttpFailure::kTooLarge:
    case HttpFailure::kMalformed:
      return "output";
    case HttpFailure::kRedirects:
      return "redirect";
    case HttpFailure::kCancelled:
      return "stopped";
    case HttpFailure::kUnreachable:
    case HttpFailure::kCut:
    case HttpFailure::kNone:
      break;
  }
  return "unavailable";
}

bool MayHaveHappened(const HttpResponse& response) {
  switch (response.failure) {
    case HttpFailure::kTimeout:
    case HttpFailure::kCut:
    case HttpFailure::kMalformed:
    case HttpFailure::kTooLarge:
      return response.sent;
    default:
      return false;
  }
}

run::ReportAttempt ConcludeRequest(const EndedRequest& step, const HttpResponse& response) {
  if (step.stopped && response.failure == HttpFailure::kCancelled) return StoppedRequest(step);
  const bool expected = IsExpected(step.expect, response.status);
  const bool whole = response.failure == HttpFailure::kNone;
  if (whole && expected) return Answered(step, response);
  // A status that says no is an answer, even if the rest of it was lost.
  const bool partial = response.failure == HttpFailure::kCut ||
                       response.failure == HttpFailure::kTimeout ||
                       response.failure == HttpFailure::kTooLarge;
  if (whole || (partial && response.status >= 400 && !expected)) {
    return WrongStatus(step, response);
  }
  const bool unknown = step.effect == flowspec::Effect::kOnce && MayHaveHappened(response);
  std::string message = absl::StrCat(Asked(step), ": ", response.message);
  if (unknown) absl::StrAppend(&message, "; whether the request took effect is not known");
  return Report(step, unknown ? run::Outcome::kUnknown : run::Outcome::kFailed,
                KindOf(response.failure), message);
}

run::ReportAttempt NoRequest(const EndedRequest& step, absl::string_view kind,
                             absl::string_view why) {
  return Report(step, run::Outcome::kFailed, kind, why);
}

run::ReportAttempt StoppedRequest(const EndedRequest& step) {
  switch (step.stopped.value_or(run::StopReason::kCancel)) {
    case run::StopReason::kCancel:
      return Report(step, run::Outcome::kStopped, "stopped", "stopped on request");
    case run::StopReason::kTimeout:
      return Report(step, run::Outcome::kStopped, "timeout", "stopped: out of time");
    case run::StopReason::kDeadline:
      return Report(step, run::Outcome::kStopped, "deadline", "stopped: its deadline passed");
  }
  return {};
}

absl::Duration RetryAfter(const HttpResponse& response, absl::Time now) {
  const std::string* value = response.Find("retry-after");
  if (value == nullptr) return absl::ZeroDuration();
  absl::Duration wait = absl::ZeroDuration();
  double seconds = 0;
  if (absl::SimpleAtod(*value, &seconds)) {
    if (!(seconds > 0)) return wait;
    wait = absl::Seconds(seconds);
  } else if (const time_t at = curl_getdate(value->c_str(), nullptr); at >= 0) {
    wait = absl::FromTimeT(at) - now;
  }
  return std::clamp(wait, absl::ZeroDuration(), kRetryAfterMax);
}

}  // namespace beamline::exec
