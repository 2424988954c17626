// Finding one's way in a run's state.
#include "daemon/run/state.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace beamline::run {
namespace {

// What the path of a compensation ends with, behind the path of what it undoes.
constexpr std::string_view kUndo = ".compensate";

NodeIndex FirstOf(const RunState& state, const flowspec::Step& step) {
  return state.first[static_cast<size_t>(step.section)];
}

// The node of `step` below `parent` (kRunNode: at the top), or -1.
NodeIndex ChildNode(const RunState& state, NodeIndex parent, int32_t step) {
  const NodeIndex first =
      parent == kRunNode ? FirstOf(state, state.plan->step(step)) : state.node(parent).first_child;
  if (first < 0) return -1;
  return first + state.plan->steps[static_cast<size_t>(step)].ordinal;
}

// The node of the item "[17]" of the fan at `at`, or -1.
NodeIndex ItemNode(const RunState& state, NodeIndex at, std::string_view brackets) {
  int32_t item = -1;
  if (brackets.back() != ']') return -1;
  const std::string_view digits = brackets.substr(1, brackets.size() - 2);
  if (!absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &item)) return -1;
  const auto fan = state.fans.find(at);
  if (fan == state.fans.end()) return -1;
  const auto node = fan->second.node_of_item.find(item);
  return node == fan->second.node_of_item.end() ? -1 : node->second;
}

std::string DumpValue(const Value& value) {
  if (value.absent()) return "-";
  return value.is_blob() ? absl::StrCat("blob:", value.sha256(), ":", value.bytes()) : value.json();
}

std::string DumpError(const Error& error) {
  return error.ok() ? "-" : absl::StrCat(error.kind, ":", error.exit_code, ":", error.message);
}

void DumpFan(const Fan& fan, std::string* out) {
  absl::StrAppend(out, " fan next=", fan.next, "/", fan.count, " live=", fan.live,
                  " parked=", fan.parked, " failed=", fan.failed, " stopped=", fan.stopped,
                  " undecided=", fan.undecided, " last=", fan.last, ",", fan.before,
                  " items=", DumpValue(fan.items), " keys=", DumpValue(fan.keys), "\n");
  for (int32_t i = 0; i < fan.next; ++i) {
    const Item& item = fan.done[static_cast<size_t>(i)];
    if (item.status == Status::kPending) continue;
    absl::StrAppend(out, "  item ", i, " ", StatusName(item.status), " ", DumpValue(item.output),
                    " ", DumpError(item.error), " attempts=", item.attempts, "\n");
  }
  for (const int32_t i : fan.again) absl::StrAppend(out, "  again ", i, "\n");
}

}  // namespace

RunState::RunState(std::shared_ptr<const Plan> plan_of_flow) : plan(std::move(plan_of_flow)) {}
RunState::RunState(const RunState&) = default;
RunState::RunState(RunState&&) noexcept = default;
RunState& RunState::operator=(const RunState&) = default;
RunState& RunState::operator=(RunState&&) noexcept = default;
RunState::~RunState() = default;

NodeIndex FindNode(const RunState& state, std::string_view path) {
  NodeIndex at = kRunNode;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    std::string_view segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    const bool undone =
        segment.size() > kUndo.size() && segment.substr(segment.size() - kUndo.size()) == kUndo;
    if (undone) segment.remove_suffix(kUndo.size());
    const size_t bracket = segment.find('[');
    const int32_t parent_step = at == kRunNode ? -1 : state.node(at).step;
    const int32_t step = state.plan->Find(parent_step, segment.substr(0, bracket));
    if (step < 0) return -1;
    at = ChildNode(state, at, step);
    if (at >= 0 && bracket != std::string_view::npos) {
      at = ItemNode(state, at, segment.substr(bracket));
    }
    if (at >= 0 && undone)
      at = state.undo >= 0 && state.node(state.undo).parent == at ? state.undo : -1;
    if (at < 0) return -1;
  }
  return at;
}

std::string PathOf(const RunState& state, NodeIndex index) {
  if (index == kRunNode) return "";
  const Node& node = state.node(index);
  if (node.item >= 0) return absl::StrCat(PathOf(state, node.parent), "[", node.item, "]");
  if (node.undoing) return absl::StrCat(PathOf(state, node.parent), std::string(kUndo));
  const std::string& id = state.plan->step(node.step).id;
  return node.parent == kRunNode ? id : absl::StrCat(PathOf(state, node.parent), "/", id);
}

NodeIndex FindVisible(const RunState& state, NodeIndex from, std::string_view id) {
  while (from != kRunNode) {
    const Node& node = state.node(from);
    if (node.undoing && state.step_of(node.parent).id == id) return node.parent;
    if (node.item >= 0 || node.undoing) {  // an item sees what its foreach sees
      from = node.parent;
      continue;
    }
    if (node.parent == kRunNode) break;
    const int32_t step = state.plan->Find(state.node(node.parent).step, id);
    if (step >= 0) return ChildNode(state, node.parent, step);
    from = node.parent;
  }
  const int32_t step = state.plan->Find(-1, id);
  return step < 0 ? -1 : ChildNode(state, kRunNode, step);
}

Status RunStatusOf(const RunState& state) {
  if (state.status != Status::kRunning) return state.status;
  if (state.paused) return Status::kPaused;
  const bool waits = state.parked > 0 || state.held > 0 || state.asking > 0 || !state.waits.empty();
  return waits && state.busy == 0 && state.due.empty() ? Status::kWaiting : Status::kRunning;
}

bool OnlyWaits(const RunState& state) {
  if (RunStatusOf(state) == Status::kWaiting) return true;
  return RunStatusOf(state) == Status::kPaused && state.due.empty() &&
         std::none_of(state.owed.begin(), state.owed.end(), [](const auto& owed) {
           return owed.second.kind == OwedKind::kRun || owed.second.kind == OwedKind::kStop;
         });
}

std::string Dump(const RunState& state) {
  std::string out = absl::StrCat(
      "run ", state.start.run.ToString(), " seq=", state.seq, " ", StatusName(state.status),
      " section=", static_cast<int>(state.section), " open=", state.open_top,
      " parked=", state.parked, " busy=", state.busy, " order=", state.last_order,
      " error=", DumpError(state.error), " outputs=", DumpValue(state.outputs),
      state.stop ? absl::StrCat(" stop=", StopReasonName(state.stop->reason)) : "",
      " paused=", state.paused, " reopened=", state.reopened, " undone=", state.undone,
      " inputs=", DumpValue(state.start.inputs),
      " started=", absl::FormatTime(state.started_at, absl::UTCTimeZone()), "\n");
  for (const Signal& signal : state.signals) {
    absl::StrAppend(&out, "signal ", signal.seq, " ", signal.name, " ", DumpValue(signal.payload),
                    "\n");
  }
  for (const std::string& id : state.signal_ids) absl::StrAppend(&out, "signal id ", id, "\n");
  for (const auto& [id, hash] : state.requests)
    absl::StrAppend(&out, "request ", id, " ", hash, "\n");
  for (const StepReused& later : state.reused) absl::StrAppend(&out, "reused ", later.path, "\n");
  for (const auto& [index, wait] : state.waits) {
    absl::StrAppend(&out, "wait ", index, " until=", absl::ToUnixNanos(wait.until),
                    " signal=", wait.signal, " match=", wait.match, " schema=", wait.schema, "\n");
  }
  for (const auto& [index, task] : state.tasks) {
    absl::StrAppend(&out, "task ", index, " t", task.asked.task, " round=", task.asked.round,
                    " open=", task.open, " escalated=", task.escalated, " at=", task.opened_seq,
                    " until=", absl::ToUnixNanos(task.until), " digest=", task.digest,
                    " payload=", DumpValue(task.payload), " decisions=", task.decisions.size(),
                    " delegations=", task.delegations.size(), " asking=", state.asking, "\n");
  }
  for (const auto& [index, said] : state.feedback) {
    absl::StrAppend(&out, "feedback ", index, " ", said.round, " ", said.by, ": ", said.comment,
                    "\n");
  }
  for (const auto& [index, turn] : state.turns)
    absl::StrAppend(&out, "turn ", index, " ", turn, "\n");
  for (const auto& [index, key] : state.cache_keys) {
    absl::StrAppend(&out, "cache key ", index, " ", key, "\n");
  }
  const auto add = [&out](const char* what, NodeIndex index, const Cost& cost) {
    absl::StrAppend(&out, what, " ", index, " ", cost.tokens, " ", cost.nano_usd, "\n");
  };
  add("spent", kRunNode, state.spent);
  for (const auto& [index, account] : state.accounts) {
    add("budget spent", index, account.spent);
    add("budget held", index, account.held);
  }
  for (const auto& [index, most] : state.holds) add("hold", index, most);
  for (NodeIndex index : state.undoable) absl::StrAppend(&out, "undoable ", index, "\n");
  for (size_t i = 0; i < state.nodes.size(); ++i) {
    const Node& n = state.nodes[i];
    if (n.step < 0) continue;  // a free place
    absl::StrAppend(&out, PathOf(state, static_cast<NodeIndex>(i)), " ", StatusName(n.status),
                    " needs=", n.open_needs, " children=", n.open_children, " attempt=", n.attempt,
                    " failures=", n.failures, " unknowns=", n.unknowns, " times=", n.times,
                    " recorded=", n.recorded, " leaving=", n.leaving, " held=", n.held, n.released,
                    n.stop ? absl::StrCat(" stop=", StopReasonName(*n.stop)) : "");
    absl::StrAppend(&out, " begun=", absl::ToUnixNanos(n.begun_at),
                    " retry=", absl::ToUnixNanos(n.retry_at),
                    " wake=", absl::ToUnixNanos(n.wake_at), " owed=", n.owed[0], ",", n.owed[1],
                    ",", n.owed[2], ",", n.owed[3]);
    absl::StrAppend(&out, " in=", DumpValue(n.input), " key=", n.idempotency_key,
                    " out=", DumpValue(n.output), " error=", DumpError(n.error),
                    " reason=", n.reason, "\n");
    const auto fan = state.fans.find(static_cast<NodeIndex>(i));
    if (fan != state.fans.end()) DumpFan(fan->second, &out);
  }
  return out;
}

}  // namespace beamline::run
