// Errors of providers, sorted by what a flow can do about them.
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/http_result.h"
#include "daemon/exec/llm_adapter.h"
#include "daemon/exec/llm_json.h"
#include "flowspec/check.h"

namespace beamline::exec {
namespace {

using nlohmann::json;

constexpr absl::Duration kRetryAfterMax = absl::Hours(24);

struct Meaning {
  const char* word;
  const char* kind;
};

// error.code and error.type, which say more than the status.
constexpr Meaning kWords[] = {
    {"insufficient_quota", "quota"},
    {"billing_error", "quota"},
    {"billing_hard_limit_reached", "quota"},
    {"context_length_exceeded", "context"},
    {"content_filter", "filtered"},
    {"content_policy_violation", "filtered"},
    {"model_not_found", "not_found"},
    {"invalid_api_key", "auth"},
    {"authentication_error", "auth"},
    {"permission_error", "permission"},
    {"not_found_error", "not_found"},
    {"request_too_large", "too_large"},
    {"rate_limit_exceeded", "rate"},
    {"rate_limit_error", "rate"},
    {"overloaded_error", "overloaded"},
    {"timeout_error", "timeout"},
    {"api_error", "unavailable"},
    {"server_error", "unavailable"},
};

const char* KindOfStatus(int status) {
  switch (status) {
    case 401:
      return "auth";
    case 402:
      return "quota";
    case 403:
      return "permission";
    case 404:
      return "not_found";
    case 408:
      return "timeout";
    case 409:
      return "unavailable";
    case 413:
      return "too_large";
    case 429:
      return "rate";
    case 529:
      return "overloaded";
    default:
      return status >= 500 ? "unavailable" : "input";
  }
}

struct Said {
  std::string type, code, message;
};

Said WhatIsSaid(const json& error) {
  if (error.is_string()) return {"", "", error.get<std::string>()};  // some servers' short form
  if (!error.is_object()) return {};
  return {TextAt(error, "type"), TextAt(error, "code"), TextAt(error, "message")};
}

const char* KindOfWords(const Said& said) {
  for (const std::string& word : {said.code, said.type}) {
    const auto found = std::find_if(std::begin(kWords), std::end(kWords),
                                    [&](const Meaning& meaning) { return word == meaning.word; });
    if (found != std::end(kWords)) return found->kind;
  }
  const std::string message = absl::AsciiStrToLower(said.message);
  for (const char* phrase : {"prompt is too long", "maximum context length", "context size"}) {
    if (absl::StrContains(message, phrase)) return "context";
  }
  return nullptr;
}

bool IsWorthRepeating(absl::string_view kind) {
  return kind == "rate" || kind == "overloaded" || kind == "unavailable" || kind == "timeout";
}

absl::Duration Delay(const HttpResponse& response, absl::Time now) {
  const std::string* exact = response.Find("retry-after-ms");
  double ms = 0;
  if (exact == nullptr || !absl::SimpleAtod(*exact, &ms) || !(ms > 0)) {
    return RetryAfter(response, now);
  }
  return std::min(absl::Milliseconds(1) * ms, kRetryAfterMax);
}

}  // namespace

const LlmAdapter& AdapterOf(LlmProvider::Kind kind) {
  CHECK(kind != LlmProvider::Kind::kRecorded);
  return kind == LlmProvider::Kind::kAnthropic ? AnthropicAdapter() : OpenAiAdapter();
}

LlmProblem ProblemOf(LlmProvider::Kind kind, const HttpResponse& response, absl::Time now) {
  const std::optional<json> body = ParseForeign(response.body);
  const bool has_error = body && body->is_object() && body->contains("error");
  const Said said = has_error ? WhatIsSaid((*body)["error"]) : Said{"", "", response.body};
  LlmProblem problem;
  const char* word = KindOfWords(said);
  problem.kind = word == nullptr ? KindOfStatus(response.status) : word;
  problem.retry_after = Delay(response, now);
  // Anthropic says when a rate limit ends; a limit of money has no end.
  if (kind == LlmProvider::Kind::kAnthropic && problem.kind == "rate" &&
      problem.retry_after == absl::ZeroDuration()) {
    problem.kind = "quota";
  }
  if (const std::string* again = response.Find("x-should-retry")) {
    const bool repeat = IsWorthRepeating(problem.kind);
    if (*again == "false" && repeat) problem.kind = "provider";
    if (*again == "true" && !repeat) problem.kind = "unavailable";
  }
  problem.message =
      absl::StrCat("answered ", response.status, said.message.empty() ? "" : ": ", said.message);
  return problem;
}

LlmProblem ProblemInStream(const std::string& error) {
  const std::optional<json> value = ParseForeign(error);
  const Said said = value ? WhatIsSaid(*value) : Said{};
  const char* kind = KindOfWords(said);
  return {kind == nullptr ? "unavailable" : kind,
          absl::StrCat("broke off: ", said.message.empty() ? said.type : said.message)};
}

}  // namespace beamline::exec
