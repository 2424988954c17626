// The facts of a run, past tense. Their order is the run's history; folding them (evolve.h) gives
// its state. A fact is stored before anyone hears of it and is never changed afterwards.
#pragma once

#include <cstdint>
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
  kParked
};
// The status word of the flow format: "pending", "running", …
const char* StatusName(Status status);
// True for the states that a step never leaves by itself: parked is not one.
bool IsTerminal(Status status);

using Labels = std::vector<std::pair<std::string, std::string>>;

// `path` in all of these names a step's place in the run: "build", "draft/write" (child of a
// container), "enrich[17]" (item 17 of a foreach), "enrich[17]/load". The empty path is the run.

struct RunStarted {
  RunId run;
  std::string tenant, project;
  std::string flow_name, flow_digest;
  Value inputs;  // JSON object; a sensitive input stands as {"sensitive": "name"}
  Labels labels;
  std::string trace_id;   // 32 hex digits (W3C)
  std::string workspace;  // absolute directory that relative `dir` and paths start from
  std::string request_id, request_hash;  // of the client's start request; may be empty
};

// The items of a foreach are known; items run from here on.
struct ForeachStarted {
  std::string path;
  Value items;  // JSON array of `count` elements (batches, where `batch` > 1)
  Value keys;   // JSON array of `count` strings; absent = the indices
  int32_t count = 0;
};

// A container (do/parallel), or an item of one, begins.
struct StepStarted {
  std::string path;
};

// The intent: recorded before anything outside is touched.
struct AttemptStarted {
  std::string path;
  int32_t attempt = 1;
  Value input;  // the resolved body (flowspec::Step::input); absent from the second attempt on
  std::string idempotency_key;
};

enum class Outcome : uint8_t { kSucceeded, kFailed, kStopped, kUnknown };
const char* OutcomeName(Outcome outcome);

struct ArtifactRef {
  std::string name;
  std::string path;    // as it was found, relative to the step's directory
  std::string sha256;  // in the blob store
  uint64_t bytes = 0;
  std::string report;  // "", "junit", "sarif"
  friend bool operator==(const ArtifactRef&, const ArtifactRef&) = default;
};

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

using Fact = std::variant<RunStarted, ForeachStarted, StepStarted, AttemptStarted, AttemptFinished,
                          RetryScheduled, StepSkipped, StepCancelled, StepParked, StepFinished,
                          StopRequested, OutputsResolved, SectionStarted, RunFinished>;

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
