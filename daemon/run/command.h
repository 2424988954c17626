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
  std::vector<StepReused> reused;  // of start.replay_of
};

// What a `wait` waits for: a pause, a time or a signal.
struct Wait {
  absl::Duration pause = absl::InfiniteDuration();  // from when it begins
  absl::Time until = absl::InfiniteFuture();
  std::string signal, match, schema;  // as WaitStarted
};

// What an `approve` step asks for.
struct Ask {
  uint64_t task = 0;  // a number that no task has had; not used where the step has one already
  TaskOpened asked;   // path, task, round, initiator, until and previous are filled in
  absl::Duration timeout = absl::InfiniteDuration();
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
  std::optional<Ask> ask;             // of an `approve`
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

// Who decides, as the transport knows them.
struct Voter {
  std::string name;  // one person has one name, however they are connected
  // All that stands for them among approvers: "user:ada", "user:uid:1000", "group:editors".
  std::vector<std::string> may_as;
};

struct DecideTask {
  std::string path;
  uint64_t task = 0;
  Verdict verdict = Verdict::kReject;
  std::string digest;  // of what they were shown
  int32_t round = 0;   // 0: that of the digest
  std::string comment;
  Value payload;  // inline; absent: what stands there
  std::string request_id;
  bool allow_self = false;
  Voter voter;
};

struct DelegateTask {
  std::string path;
  uint64_t task = 0;
  std::string to;  // "user:NAME"
  std::string request_id;
  Voter voter;
};

// A queued run's turn has come.
struct AdmitRun {};

// Ends a step as if its run were cancelled, but nothing else of the run.
struct StopStep {
  std::string path;
  std::string reason;
};

// Why a person intervenes. AlreadyExists: this request was carried out before; InvalidArgument: its
// id was used for another one.
struct Intervention {
  std::string reason;
  std::string request_id, request_hash;  // an empty id: never the same as another
};

// Runs steps again that failed, were cancelled or are parked, with what did not run because of
// them (intervene.h). A finished run goes on.
struct RetryStep {
  Intervention why;
  std::string path;           // empty: every such step
  bool downstream = false;    // what succeeded behind them runs again, too
  bool failed_items = false;  // of steps, too, that tolerated them
  Value inputs;               // in place of those of the run; absent: as they are
};

// Takes a step that failed, was cancelled or is parked as done.
struct SkipStep {
  Intervention why;
  std::string path;
  Value output;
};

// Takes a step out of the dead letters. A parked one fails by that.
struct DropStep {
  Intervention why;
  std::string path;
};

// Lets a held step start; an empty path lets all go that are held now.
struct ReleaseStep {
  Intervention why;
  std::string path;
};

struct PauseRun {
  Intervention why;
};
struct ResumePaused {
  Intervention why;
};

// One of the above; a class of its own for the reason that Fact is one (event.h).
struct Wish : std::variant<StartRun, ReportResolution, ReportAttempt, FireTimer, CancelRun,
                           SendSignal, AdmitRun, ReleaseStep, StopStep, RetryStep, SkipStep,
                           DropStep, PauseRun, ResumePaused, DecideTask, DelegateTask> {
  using variant::variant;
  Wish(const Wish&);
  Wish(Wish&&) noexcept;
  Wish& operator=(const Wish&);
  Wish& operator=(Wish&&) noexcept;
  ~Wish();
};

struct Command {
  std::string actor;
  uint64_t jitter_seed = 0;  // for the delay of a retry, if this command leads to one
  Wish wish;
};

}  // namespace beamline::run
