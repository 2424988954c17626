// Wishes and reports, imperative: what Decide turns into facts or refuses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "daemon/run/event.h"

namespace beamline::run {

struct StartRun {
  RunStarted start;
};

// What the expressions of a step came to. Which fields are set follows from the step and `phase`.
struct ReportResolution {
  std::string path;  // empty: the run's outputs
  enum class Phase : uint8_t { kEnter, kLeave } phase = Phase::kEnter;
  int32_t attempt = 0;    // the attempt that would start; 0 for containers
  bool condition = true;  // `if`
  Value items, keys;      // of a foreach
  int32_t count = 0;
  Value input;  // kEnter: the resolved body
  std::string idempotency_key;
  Value output;  // kLeave, and kEnter of `set`
  Error error;   // an expression failed; or what `fail` says
};

struct ReportAttempt {
  std::string path;
  int32_t attempt = 1;
  Outcome outcome = Outcome::kSucceeded;
  Value output;
  Error error;
  std::vector<ArtifactRef> artifacts;
  absl::Duration retry_after = absl::ZeroDuration();  // what the callee asked for; 0 = nothing
  Usage usage;                                        // of a failed attempt too
};

// A WakeAt effect came due. Refused while `now` is before its time.
struct FireTimer {
  std::string path;                          // empty: the run's timeout
  StopReason reason = StopReason::kTimeout;  // kTimeout or kDeadline
};

struct CancelRun {
  std::string reason;
  bool force = false;
};

struct Command {
  std::string actor;
  uint64_t jitter_seed = 0;  // for the delay of a retry, if this command leads to one
  std::variant<StartRun, ReportResolution, ReportAttempt, FireTimer, CancelRun> wish;
};

}  // namespace beamline::run
