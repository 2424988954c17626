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

// What a `wait` waits for: a pause, a time or a signal.
struct Wait {
  absl::Duration pause = absl::InfiniteDuration();  // from when it begins
  absl::Time until = absl::InfiniteFuture();
  std::string signal, match, schema;  // as WaitStarted
};

// What the expressions of a step came to. Which fields are set follows from the step and `phase`.
struct ReportResolution {
  std::string path;  // empty: the run's outputs
  enum class Phase : uint8_t { kEnter, kLeave, kRound } phase = Phase::kEnter;
  int32_t attempt = 0;    // the attempt that would start; 0 for containers
  bool condition = true;  // `if`; kRound: the loop goes on
  Value items, keys;      // of a foreach
  int32_t count = 0;
  Value input;  // kEnter: the resolved body
  std::string idempotency_key;
  Value output;                       // kLeave, and kEnter of `set`
  Error error;                        // an expression failed; or what `fail` says
  std::optional<Wait> wait;           // of a `wait`
  std::optional<CacheHit> hit;        // the step's `cache` holds its output
  std::string cache_key, cache_miss;  // or does not
  std::string turn;                   // as AttemptStarted
  Cost most;                          // likewise; of a first attempt
  std::string unpriced;               // the model of an attempt that has no price; empty: none
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
  std::string child_run;                              // of a sub-flow: its run
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

// Keeps a signal for the run's waits. AlreadyExists: a signal with this id came before.
struct SendSignal {
  std::string name;
  Value payload;  // inline
  std::string id;
};

// A queued run's turn has come.
struct AdmitRun {};

// Lets a held step start; an empty path lets all go that are held now.
struct ReleaseStep {
  std::string path;
};

// Ends a step as if its run were cancelled, but nothing else of the run.
struct StopStep {
  std::string path;
  std::string reason;
};

struct Command {
  std::string actor;
  uint64_t jitter_seed = 0;  // for the delay of a retry, if this command leads to one
  std::variant<StartRun, ReportResolution, ReportAttempt, FireTimer, CancelRun, SendSignal,
               AdmitRun, ReleaseStep, StopStep>
      wish;
};

}  // namespace beamline::run
