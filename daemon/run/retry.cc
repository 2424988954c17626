// Backoff and the matching of errors.
#include "daemon/run/retry.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace beamline::run {
namespace {

// splitmix64 (public domain, Sebastiano Vigna): one well-mixed number from a seed.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Words for several kinds at once.
struct Family {
  const char* word;
  const char* kind;
};
constexpr Family kFamilies[] = {{"rate", "http:429"},
                                {"unavailable", "http:502"},
                                {"unavailable", "http:503"},
                                {"unavailable", "http:504"}};

// What another attempt would only meet again: retried if `match` names it, not otherwise.
constexpr const char* kLasting[] = {"auth",      "context",    "filtered",   "length",
                                    "not_found", "permission", "provider",   "quota",
                                    "refusal",   "too_large",  "unsupported"};

bool Lasts(const Error& error) {
  return std::find(std::begin(kLasting), std::end(kLasting), error.kind) != std::end(kLasting);
}

bool Names(const std::string& entry, const Error& error) {
  if (entry == error.kind) return true;
  if (error.exit_code >= 0 && entry == absl::StrCat("exit:", error.exit_code)) return true;
  if (entry == "http" && error.kind.rfind("http:", 0) == 0) return true;
  return std::any_of(std::begin(kFamilies), std::end(kFamilies), [&](const Family& family) {
    return entry == family.word && error.kind == family.kind;
  });
}

bool Names(const std::vector<std::string>& list, const Error& error) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& entry) { return Names(entry, error); });
}

}  // namespace

absl::Duration RetryDelay(const flowspec::Retry& retry, int32_t attempt, uint64_t seed) {
  absl::Duration delay = retry.initial;
  if (retry.exponential && attempt > 2) {
    // Past 2^60 the cap has long been reached; the bound keeps pow finite.
    delay *= std::min(std::pow(retry.factor, attempt - 2), 0x1p60);
  }
  delay = std::min(delay, retry.max_delay);
  if (!retry.full_jitter) return delay;
  return delay * (static_cast<double>(Mix(seed) >> 11) * 0x1p-53);
}

bool RetryMatches(const flowspec::Retry& retry, const Error& error) {
  if (error.kind == "fail" || error.kind == "expression") return false;
  if (Names(retry.never, error)) return false;
  return retry.match.empty() ? !Lasts(error) : Names(retry.match, error);
}

}  // namespace beamline::run
