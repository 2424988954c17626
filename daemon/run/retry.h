// When a failed attempt is tried again.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "daemon/run/value.h"
#include "flowspec/flow.h"

namespace beamline::run {

// Delay before `attempt` (2 = first retry): retry.initial growing by retry.factor, at most
// retry.max_delay; full jitter from `seed`, so equal arguments give equal delays.
absl::Duration RetryDelay(const flowspec::Retry& retry, int32_t attempt, uint64_t seed);

// Whether the policy names this error: not in `never`, and in `match` or `match` is empty and the
// error is none that lasts (a quota, a refusal, …; flowspec::ErrorKinds says which). `http`
// names every http:N, `rate` and `unavailable` the statuses that mean so (flowspec::ErrorKinds).
// Errors of the flow itself (fail, expression) are the same each time and never match.
bool RetryMatches(const flowspec::Retry& retry, const Error& error);

}  // namespace beamline::run
