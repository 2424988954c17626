// Backoff and the errors it applies to.
#include "daemon/run/retry.h"

#include <doctest/doctest.h>

namespace beamline::run {

TEST_CASE("delays grow by the factor up to the cap") {
  flowspec::Retry retry{.max = 9, .full_jitter = false};
  CHECK(RetryDelay(retry, 2, 0) == absl::Seconds(1));
  CHECK(RetryDelay(retry, 3, 0) == absl::Seconds(2));
  CHECK(RetryDelay(retry, 5, 0) == absl::Seconds(8));
  CHECK(RetryDelay(retry, 9, 0) == absl::Minutes(1));
  CHECK(RetryDelay(retry, 2'000'000'000, 0) == absl::Minutes(1));
  retry.exponential = false;
  CHECK(RetryDelay(retry, 9, 0) == absl::Seconds(1));
}

TEST_CASE("full jitter lies between nothing and the delay, and is a function of its seed") {
  const flowspec::Retry retry{.max = 9};
  CHECK(RetryDelay(retry, 3, 7) == RetryDelay(retry, 3, 7));
  CHECK(RetryDelay(retry, 3, 7) != RetryDelay(retry, 3, 8));
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    CHECK(RetryDelay(retry, 3, seed) >= absl::ZeroDuration());
    CHECK(RetryDelay(retry, 3, seed) < absl::Seconds(2));
  }
}

TEST_CASE("match and never name kinds of errors and exit codes") {
  flowspec::Retry retry{.max = 3};
  CHECK(RetryMatches(retry, {"exit", "", 1}));
  retry.match = {"timeout", "exit:75"};
  CHECK(RetryMatches(retry, {"exit", "", 75}));
  CHECK(RetryMatches(retry, {"timeout", ""}));
  CHECK_FALSE(RetryMatches(retry, {"exit", "", 1}));
  retry.never = {"timeout"};
  CHECK_FALSE(RetryMatches(retry, {"timeout", ""}));
  CHECK_FALSE(RetryMatches(flowspec::Retry{.max = 3}, {"fail", "the flow says so"}));
}

TEST_CASE("words for several statuses name each of them") {
  const auto matches = [](const char* word, const char* kind) {
    return RetryMatches(flowspec::Retry{.max = 3, .match = {word}}, {kind, ""});
  };
  CHECK(matches("http", "http:404"));
  CHECK(matches("http:404", "http:404"));
  CHECK(matches("rate", "http:429"));
  CHECK(matches("rate", "rate"));
  CHECK(matches("unavailable", "http:503"));
  CHECK_FALSE(matches("unavailable", "http:500"));
  CHECK_FALSE(matches("http:40", "http:404"));
}

TEST_CASE("what lasts is retried only by name") {
  flowspec::Retry retry{.max = 3};
  CHECK_FALSE(RetryMatches(retry, {"quota", ""}));
  CHECK(RetryMatches(retry, {"overloaded", ""}));
  retry.match = {"refusal"};
  CHECK(RetryMatches(retry, {"refusal", ""}));
}

}  // namespace beamline::run
