// The facts of a run, past tense. Their order is the run's history; folding them (evolve.h) gives
// its state. A fact is stored before anyone hears of it and is never changed afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "daemon/run/id.h"
#include "daemon/run/value.h"
#include "flowspec/flow.h"

namespace beamline::run {

enum class Status : uint8_t {
  kPending,
  kRunning,
  kWaiting,
  kSucceeded,
  kFailed,
  kSkipped,
  kCancelled,
  kParked,
  kPaused  // of a run only
};
// The status word of the flow format: "pending", "running", …
const char* StatusName(Status status);
// True for the states that a step never leaves by itself: parked is not one.
bool IsTerminal(Status status);

// Larger payloads of signals are refused.
inline constexpr size_t kSignalBytesMax = 64 * 1024;

using Labels = std::vector<std::pair<std::string, std::string>>;

// `path` in all of these names a step's place in the run: "build", "draft/write" (child of a
// container), "enrich[17]" (item 17 of a foreach), "enrich[17]/load". The empty path is the run.

// The step that started this run as its sub-flow, and how deep that is; 1 = its run has no parent.
struct Parent {
  RunId run;
  std::string path;
  int32_t attempt = 1;
  int32_t depth = 1;
};

// The run that this one goes on from, with its results up to a step.
struct ReplayOf {
  RunId run;
  std::string from;  // the first step that runs again; empty: those that had not succeeded
};

// A flow that the run's sub-flows may name by its path.
struct BundledFlow {
  std::string path;    // from the directory of the flow that was submitted: "lib/child.flow.yaml"
  std::string digest;  // its source lies in the event store
};

struct RunStarted {
  RunId run;
  std::string tenant, project;
  std::string flow_name, flow_digest;
  Value inputs;  // JSON object; a sensitive input stands as {"sensitive": "name"}
  Labels labels;
  std::string trace_id;   // 32 hex digits (W3C)
  std::string workspace;  // absolute directory that relative `dir` and paths start from
  std::string request_id, request_hash;  // of the client's start request; may be empty
  std::optional<Parent> parent;
  Value trigger;      // JSON object: what started it; absent: a person or program
  Value llm_answers;  // in place of models (exec/llm_recorded.h); absent: models are asked
  std::vector<BundledFlow> files;
  std::string flow_path;              // of this flow among `files`; empty: the submitted one
  std::vector<std::string> break_at;  // ids of steps that are held before they start
  std::string only;                   // the one top-level step that runs; empty: all
  // Runs of the flow with an equal key take turns; empty: no limit. `queued`: wait for RunAdmitted.
  std::string concurrency_key;
  bool queued = false;
  std::optional<ReplayOf> replay_of;  // StepReused follow
};

// A queued run has got its turn.
struct RunAdmitted {};

// The items of a foreach or the combinations of a matrix are known; they run from here on. Of a
// loop: it begins, and has at most `count` rounds.
struct ForeachStarted {
  std::string path;
  Value items;  // JSON array of `count` elements (batches, where `batch` > 1)
  Value keys;   // JSON array of `count` strings; absent = the indices
  int32_t count = 0;
};

// Whether the loop goes on after this round.
struct LoopDecided {
  std::string path;
  int32_t round = 0;  // 0 = the first
  bool again = false;
};

// A container (do/parallel), or an item of one, begins.
struct StepStarted {
  std::string path;
};

// Tokens, and money in billionths of a US dollar: prices are told per million tokens.
struct Cost {
  int64_t tokens = 0, nano_usd = 0;
  friend bool operator==(const Cost&, const Cost&) = default;
};

// The intent: recorded before anything outside is touched.
struct AttemptStarted {
  std::string path;
  int32_t attempt = 1;
  Value input;  // the resolved body (flowspec::Step::input); absent from the second attempt on
  std::string idempotency_key;
  // Where the step has a `cache`: its key, and why nothing was found under it.
  std::string cache_key, cache_miss;
  std::string turn;  // whose turn the step has until it ends (Step::concurrency); empty: no limit
  Cost most;         // held from every budget above the step until the attempt ends
};

// What a report says of one test or place, bounded: texts are short and printable.
struct ReportCase {
  std::string name;     // "math.add", or the rule of a finding
  std::string message;  // one line
  std::string file;     // as the report names it; may be empty
  int32_t line = 0;     // 0 = not told
  friend bool operator==(const ReportCase&, const ReportCase&) = default;
};

// A report in short. Of tests: `tests` in all, of which `failures`, `errors` and `skipped`. Of
// findings (sarif): `errors`, `warnings` and `notes`.
struct ReportSummary {
  int64_t tests = 0, failures = 0, errors = 0, skipped = 0;
  int64_t warnings = 0, notes = 0;
  absl::Duration time;            // that the tests took, as the report says
  std::vector<ReportCase> cases;  // the first that failed, or the first errors
  std::string problem;            // why it could not be read; the rest is then empty
  friend bool operator==(const ReportSummary&, const ReportSummary&) = default;
};

struct ArtifactRef {
  std::string name;
  std::string path;    // as it was found, relative to the step's directory
  std::string sha256;  // in the blob store
  uint64_t bytes = 0;
  std::string report;                    // "", "junit", "sarif"
  bool by_pattern = false;               // a glob found it: there may be others of this name
  std::optional<ReportSummary> summary;  // of a report
  friend bool operator==(const ArtifactRef&, const ArtifactRef&) = default;
};

// An earlier output with the same key is the step's output; nothing is started.
struct CacheHit {
  std::string path;
  std::string key;
  std::string from_run, from_path;  // who made it
  absl::Time made_at;
  Value output;
  std::vector<ArtifactRef> artifacts;
};

// A `wait` begins.
struct WaitStarted {
  std::string path;
  absl::Time until = absl::InfiniteFuture();  // it succeeds then
  std::string signal;                         // or when this signal comes
  std::string match;                          // JSON that the payload must hold; empty: any
  std::string schema;                         // JSON Schema that it must satisfy; empty: any
};

// What was waited for has come; StepFinished follows.
struct WaitEnded {
  std::string path;
  uint64_t signal = 0;  // seq of the SignalReceived that it takes; 0 = the time has come
};

// A signal is kept until a wait takes it, whether one waits already or not.
struct SignalReceived {
  std::string name;
  Value payload;   // inline: at most kSignalBytesMax
  std::string id;  // the same signal is taken in once
};

// A step that was to be looked at before it starts, and that it may start now.
struct StepHeld {
  std::string path;
};
struct StepReleased {
  std::string path;
};

// What a person did to a run; the facts behind it in the same decision say what that changed.
enum class Verb : uint8_t { kRetry, kSkip, kDrop, kPause, kResume };
const char* VerbName(Verb verb);

struct Intervened {
  Verb verb = Verb::kRetry;
  std::string reason;
  std::string request_id, request_hash;  // the same request is carried out once
};

// A finished run goes on, in this section.
struct RunReopened {
  flowspec::Section section = flowspec::Section::kMain;
};

// The step runs again. What failed goes on where it stopped: a container with its children that did
// not succeed, a foreach with such items, an attempt whose outcome is unknown with its recorded
// input. `anew`: all of it from the start, as what it goes on from is new.
struct StepRequeued {
  std::string path;
  bool anew = false;
  bool follows = false;  // nobody asked for it, but for a step that it needs
};

// A person has done the step's work, or says that it need not be done.
struct StepMarked {
  std::string path;
  Value output;
  std::string reason;
};

// Nothing starts any more; what runs may end, and times that were set pass.
struct RunPaused {};
struct RunResumed {};

// A person has seen that the step failed and does not want it to be retried.
struct LetterDropped {
  std::string path;
};

// From here on expressions see these inputs.
struct InputsChanged {
  Value inputs;  // as RunStarted
};

// What an item of a step came to in the run that is replayed.
struct ReusedItem {
  int32_t index = 0;
  Status status = Status::kSucceeded;
  Value output;
  Error error;
  std::vector<ArtifactRef> artifacts;
};

// What a step came to in the run that is replayed stands for it here; nothing is carried out. Of a
// container, `artifacts` has those of its children, as "<child>/<name>".
struct StepReused {
  std::string path;
  Status status = Status::kSucceeded;
  Value output;
  Error error;
  std::string reason;  // of a skipped one
  std::vector<ArtifactRef> artifacts;
  Value items, keys;  // of a foreach, as ForeachStarted
  int32_t count = 0;
  std::vector<ReusedItem> done;
};

enum class Verdict : uint8_t { kApprove, kReject, kRequestChanges, kRespond };
enum class TaskOutcome : uint8_t { kApproved, kRejected, kExpired, kCancelled };
// "approved", "rejected", …
const char* TaskOutcomeName(TaskOutcome outcome);

// People are asked: an `approve` step begins to wait, or asks again in its next round. What the
// fields mean is told in event.proto, as for all facts of tasks.
struct TaskOpened {
  std::string path;
  uint64_t task = 0;  // its number within the daemon, the same in all rounds
  int32_t round = 1, max_rounds = 0;
  std::string title;
  Value show;
  std::string form;  // JSON Schema text
  std::vector<std::string> approvers;
  int32_t quorum = 1;
  bool self_approval = false;
  std::string initiator;
  absl::Time until = absl::InfiniteFuture();
  bool escalates = false;
  std::vector<std::string> escalate_to;
  std::string digest;
  std::string rerun;      // id of a sibling
  uint64_t previous = 0;  // seq of the TaskOpened of the round before
};

struct TaskDecided {
  std::string path;
  uint64_t task = 0;
  int32_t round = 1;
  Verdict verdict = Verdict::kReject;
  std::string comment;
  Value payload;              // inline: at most kSignalBytesMax
  std::string shown, digest;  // what was seen, and what stands from now on
  int32_t approvals = 0;      // of what stands
  std::string voter;
  std::string request_id;
};

struct TaskDelegated {
  std::string path;
  uint64_t task = 0;
  std::string voter, to;
  std::string request_id;
};

struct TaskEscalated {
  std::string path;
  uint64_t task = 0;
  absl::Time until;
  std::vector<std::string> to;
};

// Every task that was opened is closed once. Of an approved one the step goes on to its end;
// otherwise the step's end follows.
struct TaskClosed {
  std::string path;
  uint64_t task = 0;
  TaskOutcome outcome = TaskOutcome::kCancelled;
  Value output;
};

// Changes were asked for: these steps are as if they had not begun.
struct StepsRewound {
  std::string path;                // of the step that asked
  std::vector<std::string> steps;  // paths
  std::vector<uint64_t> tasks;     // of those, the ones that will ask again under their number
  int32_t round = 1;               // that was not approved
  std::string comment, by;
};

enum class Outcome : uint8_t { kSucceeded, kFailed, kStopped, kUnknown };
const char* OutcomeName(Outcome outcome);

// What an attempt consumed of a model; see Usage in event.proto for what each number includes.
struct Usage {
  std::string provider, model;  // as the provider's answer names it; empty: no model was asked
  std::string request_id;       // the provider's, of the last request
  int32_t requests = 0;
  int64_t input_tokens = 0;  // all of them: read from and written to caches included
  int64_t cache_read_tokens = 0;
  int64_t cache_write_tokens = 0;
  int64_t output_tokens = 0;  // reasoning included
  int64_t reasoning_tokens = 0;
  std::optional<int64_t> nano_usd;  // absent: the model has no price that is known
  friend bool operator==(const Usage&, const Usage&) = default;
};

struct AttemptFinished {
  std::string path;
  int32_t attempt = 1;
  Outcome outcome = Outcome::kSucceeded;
  Value output;
  Error error;
  std::vector<ArtifactRef> artifacts;
  // The step's status from here on: succeeded, failed or cancelled if this outcome is final;
  // running if a RetryScheduled or StepParked follows.
  Status step_status = Status::kSucceeded;
  Usage usage;
  // Later steps with this cache key may take the output over, until then; empty: they may not.
  std::string cache_key;
  absl::Time cached_until = absl::InfiniteFuture();
  std::string child_run;  // of a sub-flow: its run
};

struct RetryScheduled {
  std::string path;
  int32_t attempt = 2;  // the one that will start
  absl::Time at;        // not before
};

struct StepSkipped {
  std::string path;
  std::string reason;
};

// A step that will not start (or not go on) because its run or container was stopped.
struct StepCancelled {
  std::string path;
  std::string reason;
};

struct StepParked {
  std::string path;
  std::string reason;
};

// The end of a container or a foreach, or of a step that failed without an attempt (an expression
// that did not evaluate, a deadline while it waited).
struct StepFinished {
  std::string path;
  Status status = Status::kSucceeded;  // succeeded, failed or cancelled
  Value output;
  Error error;
};

enum class StopReason : uint8_t { kCancel, kTimeout, kDeadline };
const char* StopReasonName(StopReason reason);

// A run (empty path) or a step is to end: what has not started is cancelled, what runs is stopped.
struct StopRequested {
  std::string path;
  StopReason reason = StopReason::kCancel;
  std::string message;
  bool force = false;  // at once, and without on_failure and finally
};

// The run's `outputs` are known (all of its main steps ended well).
struct OutputsResolved {
  Value outputs;
  Error error;
};

// on_failure or finally begins.
struct SectionStarted {
  flowspec::Section section = flowspec::Section::kFinally;
};

struct RunFinished {
  Status status = Status::kSucceeded;  // succeeded, failed or cancelled
  Error error;
};

// One of the above. A class of its own, since what copies, moves and destroys so many kinds of
// facts is best compiled once, in event.cc, and not in every file that passes an event on.
struct Fact
    : std::variant<RunStarted, ForeachStarted, StepStarted, AttemptStarted, AttemptFinished,
                   RetryScheduled, StepSkipped, StepCancelled, StepParked, StepFinished,
                   StopRequested, OutputsResolved, SectionStarted, RunFinished, RunAdmitted,
                   LoopDecided, CacheHit, WaitStarted, WaitEnded, SignalReceived, StepHeld,
                   StepReleased, Intervened, RunReopened, StepRequeued, StepMarked, RunPaused,
                   RunResumed, LetterDropped, InputsChanged, StepReused, TaskOpened, TaskDecided,
                   TaskDelegated, TaskEscalated, TaskClosed, StepsRewound> {
  using variant::variant;
  Fact(const Fact&);
  Fact(Fact&&) noexcept;
  Fact& operator=(const Fact&);
  Fact& operator=(Fact&&) noexcept;
  ~Fact();
};

struct Event {
  uint64_t seq = 0;   // 1, 2, 3, … within the run, without a gap
  absl::Time time;    // of the decision
  std::string actor;  // "uid:1000", "system"
  Fact fact;
};

// "RunStarted", "AttemptFinished", …
const char* FactName(const Fact& fact);
// The path a fact is about; empty for facts of the run.
const std::string& FactPath(const Fact& fact);

}  // namespace beamline::run
