// A flow as checked values: what `*.flow.yaml` says, typed, with every default filled in and
// every name resolved to an index. Made by ParseFlow (parse.h); immutable afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "flowspec/cron.h"
#include "flowspec/expr.h"
#include "flowspec/finding.h"

namespace beamline::flowspec {

enum class StepKind {
  kRun,
  kHttp,
  kLlm,
  kAgent,
  kWorker,
  kApprove,
  kFlow,
  kWait,
  kSignal,
  kDo,
  kParallel,
  kSet,
  kFail
};
// The key that names the kind in a flow: "run", "http", …
const char* KindName(StepKind kind);

enum class When { kSuccess, kFailure, kDone };
const char* WhenName(When when);

enum class Effect { kPure, kIdempotent, kOnce };
const char* EffectName(Effect effect);

enum class OnError { kFail, kContinue, kPark };

// Which list of the flow a step stands in (directly or below one that does). kCompensate is none of
// the flow's lists: steps that undo others stand in the section of those.
enum class Section { kMain, kOnFailure, kFinally, kCompensate };

// An edge to a sibling. `implied` edges come from a reference or from the order of the list.
struct Need {
  int32_t step = -1;  // index into Flow::steps; always a sibling
  When when = When::kSuccess;
  bool implied = false;
};

// Retry of one step. `max` counts attempts; 1 = no retry.
struct Retry {
  int32_t max = 1;
  bool exponential = true;
  absl::Duration initial = absl::Seconds(1);
  double factor = 2;
  absl::Duration max_delay = absl::Minutes(1);
  bool full_jitter = true;
  std::vector<std::string> match;  // error kinds or "exit:N" that are retried; empty = all
  std::vector<std::string> never;  // that are not
  bool honor_retry_after = true;
};

struct Foreach {
  Template items;  // a JSON array once rendered
  std::string as = "item";
  Template key;  // one value hole, evaluated per item; empty = the item's index
  int32_t max_parallel = 8;
  int32_t tolerate = 0;  // failed items allowed; a percentage if tolerate_percent
  bool tolerate_percent = false;
  int32_t batch = 1;  // >1: `item` is an array of up to `batch` items
};

// axes: name → JSON array text; include/exclude: JSON objects' text.
struct Matrix {
  std::vector<std::pair<std::string, Template>> axes;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  int32_t max_parallel = 8;
  int32_t tolerate = 0;
};

struct Loop {
  ExprIndex condition = -1;
  bool until = true;  // false: `while`
  int32_t max = 1;
};

struct Cache {
  Template key;
  absl::Duration ttl = absl::InfiniteDuration();
};

struct Concurrency {
  Template key;
  int32_t limit = 1;
  enum class Overflow { kQueue, kReject, kCancelOldest } overflow = Overflow::kQueue;
};

struct Idempotency {
  Template key;
  absl::Duration window = absl::Hours(24);
  bool conflict_return = true;  // false: reject
};

struct Budget {
  double usd = -1;  // -1 = not limited
  int64_t tokens = -1;
};
inline bool IsLimited(const Budget& budget) { return budget.usd >= 0 || budget.tokens >= 0; }

struct Artifact {
  std::string name;
  Template path;       // a JSON string once rendered; relative to `dir`; may be a glob
  std::string report;  // "", "junit" or "sarif"
};

struct Secret {
  std::string name;
  std::string source;  // "env", "file" or "store"
  std::string value;   // the variable, path or store key
};

struct Step {
  std::string id;
  std::string name;
  StepKind kind = StepKind::kRun;
  Section section = Section::kMain;
  int32_t parent = -1;            // index of the enclosing do/parallel step, or -1
  std::vector<int32_t> children;  // of do/parallel, in order
  std::vector<Need> needs;
  ExprIndex condition = -1;  // `if`
  Retry retry;
  Effect effect = Effect::kIdempotent;
  absl::Duration timeout = absl::InfiniteDuration();   // per attempt
  absl::Duration deadline = absl::InfiniteDuration();  // over all attempts
  OnError on_error = OnError::kFail;

  // The step's body as JSON text with holes, under the keys of the flow format: for `run`
  // {"run": "text" | ["argv", …], "shell": …, "env": {…}, "dir": …, "stdin": …, "capture": …},
  // where flow-level `env` is already merged under the step's; for `set` the map; for `fail`
  // {"code", "message"}. A secret stands as {"secret": "name"}, a sensitive input as
  // {"sensitive": "name"}. Empty for do/parallel.
  Template input;
  Template idempotency_key;    // empty = the default
  std::string outputs_schema;  // JSON Schema text of the output, or empty
  Template output;             // reshaping; sees the raw output as `output`. Empty = as it is
  std::vector<Artifact> artifacts;
  std::optional<Foreach> foreach;
  std::optional<Matrix> matrix;
  std::optional<Loop> loop;
  std::optional<Cache> cache;
  std::optional<Concurrency> concurrency;
  Budget budget;
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::string> runs_on;
  int32_t compensate = -1;  // index of the compensating step, or -1
  Span span;                // of the id
};

enum class InputType { kString, kNumber, kInteger, kBoolean, kArray, kObject, kAny };

struct Input {
  std::string name;
  InputType type = InputType::kAny;
  std::string schema;        // JSON Schema text (draft-07) that a value must satisfy
  std::string default_json;  // JSON text; empty = required
  std::string description;
  bool sensitive = false;
  Span span;
};

// What starts runs of the flow by itself, once it is registered.
struct Trigger {
  enum class Kind { kCron, kWebhook, kEvent, kFlow } kind = Kind::kCron;
  // What a start that comes due does while the last run of this trigger goes on.
  enum class Overlap { kSkip, kQueue, kAllow } overlap = Overlap::kSkip;
  // Which of the starts that nobody was there for are made up for.
  enum class Catchup { kNone, kLast, kAll } catchup = Catchup::kNone;
  std::string what;  // the timetable, the subject or the flow as written; empty for a webhook
  std::optional<Cron> cron;
  std::string tz = "UTC";                                // of cron; FindTimeZone knows it
  When when = When::kSuccess;                            // of flow: how the other flow's run ended
  std::vector<std::pair<std::string, Template>> inputs;  // see `trigger` and `now`
  Span span;
};
// "cron", "webhook", …; "skip", …; "none", …
const char* TriggerKindName(Trigger::Kind kind);
const char* OverlapName(Trigger::Overlap overlap);
const char* CatchupName(Trigger::Catchup catchup);

// A run of the flow with answers in place of models, and what has to come of it.
struct TestCase {
  std::string name;
  std::string inputs = "{}";   // JSON object
  std::string answers = "{}";  // JSON object: path of an `llm` step → its answers
  std::string answers_file;    // instead: a file beside the flow
  std::string status = "succeeded";
  std::string outputs = "{}";                                 // JSON that the run's outputs hold
  std::vector<std::pair<std::string, std::string>> statuses;  // path of a step → word
  std::vector<std::pair<std::string, std::string>> step_outputs;  // path of a step → JSON
  Span span;
};

struct Flow {
  Flow();
  Flow(const Flow&);
  Flow(Flow&&) noexcept;
  Flow& operator=(const Flow&);
  Flow& operator=(Flow&&) noexcept;
  ~Flow();

  std::string name;
  std::string description;
  std::string version;
  std::string digest;  // lower-case hex SHA-256 of the source bytes
  std::string source;  // the document as it was given
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, Template>> vars;
  std::vector<std::pair<std::string, Template>> env;  // flow level, for the `env` root
  std::vector<std::pair<std::string, Template>> outputs;
  std::vector<Secret> secrets;
  std::vector<Trigger> triggers;
  std::vector<TestCase> tests;
  std::optional<Concurrency> concurrency;
  std::optional<Idempotency> idempotency;
  Budget budget;
  absl::Duration timeout = absl::InfiniteDuration();

  std::vector<Step> steps;    // all steps of all sections, a parent before its children
  std::vector<int32_t> main;  // top-level steps of each section, in order
  std::vector<int32_t> on_failure;
  std::vector<int32_t> finally;
  std::vector<Expression> expressions;
};

struct ChildFlow;
// Finds the flows that `flow` steps use, by their `uses` as written.
using ChildFlows = std::function<ChildFlow(const std::string& uses)>;

// Such a flow, as far as it is at hand.
struct ChildFlow {
  std::shared_ptr<const Flow> flow;  // null: not at hand, or see `problem`
  std::string problem;               // why it cannot be used; empty if nothing is known against it
  bool recursive = false;            // it is being looked at already: it uses itself
  ChildFlows children;               // what it uses in turn
};

}  // namespace beamline::flowspec
