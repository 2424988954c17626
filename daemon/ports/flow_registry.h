// Where flows are kept by name: their versions, their triggers, and what those triggers still owe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/ports/event_store.h"
#include "daemon/run/id.h"

namespace beamline::ports {

// One entry of a flow's history, which only grows: a version is never changed or taken out.
struct FlowVersion {
  std::string tenant, name;
  uint64_t version = 0;  // 1, 2, 3, … for each name
  std::string digest;    // of what is kept; empty: the flow was removed at this point
  absl::Time at;
  std::string actor;
  std::string workspace;  // absolute directory that runs by name start from
};

// What starts runs of a flow by itself, as the words of the flow format.
struct TriggerSpec {
  std::string key;    // unique within a flow; a trigger with the key of an old one takes its place
  int32_t index = 0;  // in flowspec::Flow::triggers
  std::string kind;   // "cron" or "flow"
  std::string what;   // the timetable, or the name of the other flow
  std::string tz = "UTC";            // of a timetable
  std::string overlap = "skip";      // skip, queue, allow
  std::string catchup = "none";      // none, last, all
  std::string run_when = "success";  // success, failure, done: of the other flow's run
};

// The last thing that was decided for a trigger.
struct TriggerDecision {
  absl::Time scheduled_at = absl::InfinitePast();  // what it was about; InfinitePast: none yet
  absl::Time decided_at = absl::InfinitePast();
  std::string decision;  // "started", "queued", "skipped", "missed", "failed"
  std::string reason;    // one line; empty for "started"
};

struct TriggerRow {
  uint64_t no = 0;                              // names the trigger while it exists; not used again
  std::string tenant, flow, digest, workspace;  // of the flow's current version
  TriggerSpec spec;
  // Of a timetable: everything up to this time is decided. Never goes back, but for a clock that
  // went back by days.
  absl::Time cursor = absl::InfinitePast();
  TriggerDecision last;
  std::optional<run::RunId> run;  // the last one it started
};

// A start that is owed: recorded, and not yet made.
struct DueStart {
  uint64_t no = 0;  // in the order in which they came
  uint64_t trigger = 0;
  absl::Time scheduled_at;
  std::optional<run::RunId> cause;  // of a flow trigger: the run that ended
};

// What changes about one trigger, all at once. A trigger that is gone is passed over.
struct TriggerChange {
  uint64_t trigger = 0;
  std::optional<absl::Time> cursor;
  std::vector<absl::Time> owe;   // scheduled times of new starts
  std::vector<uint64_t> settle;  // numbers of starts that are no longer owed
  std::optional<TriggerDecision> last;
  std::optional<run::RunId> run;
};

struct Registration {
  std::string tenant;
  FlowSource flow;
  std::string actor, workspace;
  absl::Time at;
  std::vector<TriggerSpec> triggers;
  std::string request_id;         // empty: not idempotent
  std::vector<FlowSource> parts;  // where `flow` is a manifest: what it names
};

struct Registered {
  FlowVersion version;
  bool existing =
      false;  // nothing changed: the request was made before, or this is the current one
};

struct FlowQuery {
  std::string tenant = "local";
  std::string after;  // names after this one; for paging
  int limit = 50;
};

// Thread-safe, except that what changes is called by the thread that appends to the event store.
// The changing calls are on disk before return and have the errors of EventStore::Append besides
// their own.
class FlowRegistry {
 public:
  virtual ~FlowRegistry() = default;

  // Makes `flow` the current version of its name and its triggers those of the name. Triggers with
  // the key of an old one keep its cursor, last decision and owed starts; new ones begin at `at`.
  // A flow that is current already, at the same workspace, makes no new version.
  // AlreadyExists: the request id was used for another flow or a removal.
  virtual absl::StatusOr<Registered> Register(const Registration& registration) = 0;

  // Takes the name away, with its triggers and what they owe; its history stays.
  // NotFound: no such flow. AlreadyExists: as above.
  struct Removal {
    std::string tenant, name, actor, request_id;
    absl::Time at;
  };
  virtual absl::Status Remove(const Removal& removal) = 0;

  virtual absl::Status Change(absl::Span<const TriggerChange> changes) = 0;

  virtual absl::StatusOr<FlowVersion> CurrentFlow(const std::string& tenant,
                                                  const std::string& name) const = 0;  // NotFound
  // Current versions in order of name.
  virtual absl::StatusOr<std::vector<FlowVersion>> ListFlows(const FlowQuery& query) const = 0;
  // The history of `name`, newest first, versions below `before`; 0 = all. Empty: never registered.
  virtual absl::StatusOr<std::vector<FlowVersion>> FlowHistory(const std::string& tenant,
                                                               const std::string& name,
                                                               uint64_t before,
                                                               int limit) const = 0;
  // The newest version of each digest that starts with `digest_part` (lower-case hex), of `name`
  // or of all flows where that is empty; at most 10.
  virtual absl::StatusOr<std::vector<FlowVersion>> FindVersions(
      const std::string& tenant, const std::string& name, const std::string& digest_part) const = 0;

  // Of one flow in the order of `index`; of all flows (of all tenants) where `name` is empty.
  virtual absl::StatusOr<std::vector<TriggerRow>> ListTriggers(const std::string& tenant,
                                                               const std::string& name) const = 0;
  // All starts that are owed, in order. Besides those of Change: when a run ends, one for each
  // `flow` trigger that waits for it, recorded together with the run's end.
  virtual absl::StatusOr<std::vector<DueStart>> ListDue() const = 0;
  // Grows whenever a run's end has made a start due.
  virtual uint64_t due_by_runs() const = 0;
};

// Whether a run that ended so starts what waits for `run_when`.
inline bool Wanted(const std::string& run_when, RunStatus status) {
  if (run_when == "done") return IsFinished(status);
  return status == (run_when == "failure" ? RunStatus::kFailed : RunStatus::kSucceeded);
}

}  // namespace beamline::ports
