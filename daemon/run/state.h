// The state of a run: the fold of its events and nothing else. Only Evolve changes it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "daemon/run/event.h"
#include "daemon/run/plan.h"
#include "daemon/run/task.h"

namespace beamline::run {

using NodeIndex = int32_t;
inline constexpr NodeIndex kRunNode = -1;  // stands for the run itself

// A finished item of a foreach, kept small: there may be 100,000.
struct Item {
  Status status = Status::kPending;
  Value output;
  Error error;
  std::vector<ArtifactRef> artifacts;  // of a container its children's, named "<child>/<name>"
  int32_t attempts = 0;                // the largest number of an attempt in it
};

// A foreach, matrix or loop that has begun.
struct Fan {
  Value items, keys;
  int32_t count = 0;
  int32_t next = 0;            // the first item that has not begun
  std::vector<int32_t> again;  // items before it that are to begin again, last first
  int32_t live = 0;            // items that have a node
  int32_t parked = 0;          // of those
  int32_t failed = 0;
  bool stopped = false;    // no further item begins
  bool undecided = false;  // a loop: whether there is another round is being worked out
  // Rounds of a loop that are over and can still be read: the last one and the one before it.
  NodeIndex last = -1, before = -1;
  std::vector<Item> done;                                // by item
  absl::flat_hash_map<int32_t, NodeIndex> node_of_item;  // the live ones; never iterated
};

enum class OwedKind : uint8_t { kResolve, kRun, kStop, kWake };
enum class DueKind : uint8_t { kBegin, kSkip, kCancel, kEnd, kSection, kHold };

// A step that has come into scope, or one item of a foreach.
struct Node {
  int32_t step = -1;
  NodeIndex parent = kRunNode;  // container or foreach above it
  NodeIndex first_child = -1;   // children of a container stand side by side
  int32_t item = -1;            // index in the foreach above it, or -1
  Status status = Status::kPending;
  bool is_fan = false;             // a foreach, not one of its items
  bool leaving = false;            // all below is done; the output is being put together
  bool due = false;                // stands in RunState::due
  bool undoing = false;            // a compensation; `parent` is what it undoes
  bool held = false;               // before its start, for somebody to look
  bool released = false;           // and no more
  bool stop_self = false;          // the stop was aimed at this very node
  bool recorded = false;           // `input` and `idempotency_key` are those of its attempts
  std::optional<StopReason> stop;  // asked to end
  int32_t open_needs = 0;
  int32_t open_children = 0;
  int32_t attempt = 0;   // the last one started; of a container that begins anew, of those below
  int32_t times = 0;     // how often it, or what is above it, began anew after it had an effect
  int32_t failures = 0;  // attempts that failed
  int32_t unknowns = 0;  // attempts whose outcome stayed unknown
  absl::Time begun_at = absl::InfinitePast();  // the last attempt
  absl::Time retry_at = absl::InfinitePast();
  absl::Time wake_at = absl::InfiniteFuture();
  std::array<uint64_t, 4> owed{};  // by OwedKind: order in RunState::owed, 0 = none
  Value input;                     // of the attempt, while the step is not over
  std::string idempotency_key;
  Value output;
  Error error;
  std::string reason;  // why skipped, cancelled, parked
  std::vector<ArtifactRef> artifacts;
};

// A signal that no wait has taken yet.
struct Signal {
  uint64_t seq = 0;  // of its SignalReceived
  std::string name;
  Value payload;
};

// What was said when a step was started over: `feedback` for it and what is below it.
struct Feedback {
  std::string comment, by;
  int32_t round = 1;  // that was not approved
};

struct Owed {
  NodeIndex node = kRunNode;
  OwedKind kind = OwedKind::kResolve;
};

struct Due {
  NodeIndex node = kRunNode;
  DueKind kind = DueKind::kBegin;
};

// Of a budget: what was spent, and what is held for attempts under way.
struct Account {
  Cost spent, held;
};

struct RunState {
  // The state before the first event.
  explicit RunState(std::shared_ptr<const Plan> plan_of_flow);
  RunState(const RunState&);
  RunState(RunState&&) noexcept;
  RunState& operator=(const RunState&);
  RunState& operator=(RunState&&) noexcept;
  ~RunState();

  std::shared_ptr<const Plan> plan;
  uint64_t seq = 0;  // of the last event
  RunStarted start;
  std::string actor;                 // who started it
  Status status = Status::kPending;  // pending, running, then the final one; see RunStatusOf
  Error error;                       // the first failure that fails the run
  Value outputs;
  bool outputs_known = false;
  absl::Time started_at, finished_at;

  flowspec::Section section = flowspec::Section::kMain;  // the one that runs now
  std::array<NodeIndex, 4> first{-1, -1, -1, -1};        // first top-level node, by section
  int32_t open_top = 0;  // top-level nodes of `section` that are not over
  std::optional<StopRequested> stop;
  absl::Time wake_at = absl::InfiniteFuture();
  std::array<uint64_t, 4> run_owed{};

  std::vector<Node> nodes;
  absl::btree_map<int32_t, std::vector<NodeIndex>> free_blocks;  // by size
  absl::flat_hash_map<NodeIndex, Fan> fans;                      // never iterated
  absl::btree_map<uint64_t, Owed> owed;                          // by order
  std::vector<Due> due;
  uint64_t last_order = 0;
  int32_t parked = 0;
  absl::btree_map<NodeIndex, WaitStarted> waits;                 // by the node that waits
  absl::btree_set<std::pair<std::string, NodeIndex>> listening;  // signal → who waits for it
  std::vector<Signal> signals;
  absl::btree_set<std::string> signal_ids;  // of all that came
  int32_t held = 0;
  absl::btree_map<NodeIndex, Task> tasks;              // open, or to be asked again
  int32_t asking = 0;                                  // those that are open
  absl::btree_map<NodeIndex, Feedback> feedback;       // by the step that was started over
  absl::btree_map<NodeIndex, std::string> turns;       // by node that has one, until it is over
  absl::btree_map<NodeIndex, std::string> cache_keys;  // by node whose output is to be cached
  absl::btree_map<NodeIndex, Account> accounts;        // by the node, or the run, that has a budget
  absl::btree_map<NodeIndex, Cost> holds;              // of an attempt of a node that is not over
  Cost spent;                                          // by the run
  std::vector<NodeIndex> undoable;  // what succeeded and has a `compensate`, in that order
  NodeIndex undo = -1;              // the compensation that runs now
  int32_t busy = 0;                 // owed effects other than WakeAt, and running attempts
  bool paused = false;              // resolutions are owed, but not handed out
  bool reopened = false;            // it was finished once
  bool undone = false;  // compensations have begun: what succeeded does not stand any more
  absl::btree_map<std::string, std::string> requests;  // of people that intervened: id → hash
  std::vector<StepReused> reused;                      // of a queued run, until it begins

  const Node& node(NodeIndex i) const { return nodes[static_cast<size_t>(i)]; }
  const flowspec::Step& step_of(NodeIndex i) const { return plan->step(node(i).step); }
};

// The node at `path`, or -1 if there is none (now).
NodeIndex FindNode(const RunState& state, std::string_view path);
std::string PathOf(const RunState& state, NodeIndex node);

// The step called `id` that expressions of `from` (kRunNode: the run's outputs) may name: among
// its siblings, those of the containers above it, and for handlers the main steps; -1 if none.
NodeIndex FindVisible(const RunState& state, NodeIndex from, std::string_view id);

// "pending" (queued), "running", "waiting" (something is parked, held or waits, and nothing else
// can go on), "paused" or the final status.
Status RunStatusOf(const RunState& state);

// True if only a person, a signal or a time brings the run forward: nothing of it runs, and nothing
// is being worked out.
bool OnlyWaits(const RunState& state);

// Every byte of the state as text, in a fixed order: equal states give equal text.
std::string Dump(const RunState& state);

}  // namespace beamline::run
