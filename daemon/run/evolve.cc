// What each fact changes.
#include "daemon/run/evolve.h"

#include <algorithm>
#include <utility>

#include "daemon/run/budget.h"
#include "daemon/run/progress.h"
#include "daemon/run/reopen.h"
#include "daemon/run/rewind.h"
#include "flowspec/check.h"

namespace beamline::run {
namespace {

using flowspec::Section;
using flowspec::Step;

class Fold {
 public:
  Fold(RunState& state, const Event& event) : state_(state), event_(event) {}

  void operator()(const RunStarted& fact) {
    state_.start = fact;
    state_.actor = event_.actor;
    state_.started_at = event_.time;
    if (!fact.queued) Begin();
  }

  void operator()(const RunAdmitted&) { Begin(); }

  void operator()(const ForeachStarted& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kRunning;
    Fan& fan = state_.fans[index];
    fan.items = fact.items;
    fan.keys = fact.keys;
    fan.count = fact.count;
    fan.done.resize(static_cast<size_t>(fact.count));
    FillFan(state_, index);
  }

  void operator()(const LoopDecided& fact) {
    const NodeIndex index = Take(fact.path);
    Fan& fan = state_.fans.at(index);
    fan.undecided = false;
    fan.stopped = fan.stopped || !fact.again;
    FillFan(state_, index);
  }

  void operator()(const CacheHit& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).output = fact.output;
    node(index).artifacts = fact.artifacts;
    Finish(state_, index, Status::kSucceeded);
  }

  void operator()(const WaitStarted& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kWaiting;
    state_.waits.emplace(index, fact);
    if (!fact.signal.empty()) state_.listening.emplace(fact.signal, index);
    const Step& step = state_.step_of(index);
    Wake(index, std::min({fact.until - event_.time, step.timeout, step.deadline}));
  }

  void operator()(const WaitEnded& fact) {
    const NodeIndex index = Take(fact.path);
    Forgive(state_, index, OwedKind::kWake);
    const auto taken = std::find_if(state_.signals.begin(), state_.signals.end(),
                                    [&](const Signal& s) { return s.seq == fact.signal; });
    if (taken != state_.signals.end()) {
      node(index).output = std::move(taken->payload);
      state_.signals.erase(taken);
    }
    LeaveWait(state_, index);
  }

  void operator()(const SignalReceived& fact) {
    state_.signals.push_back({event_.seq, fact.name, fact.payload});
    if (!fact.id.empty()) state_.signal_ids.insert(fact.id);
  }

  void operator()(const TaskOpened& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kWaiting;
    Apply(event_, &state_.tasks[index]);
    ++state_.asking;
    const Step& step = state_.step_of(index);
    Wake(index, std::min({fact.until - event_.time, step.timeout, step.deadline}));
  }

  void operator()(const TaskDecided& fact) { Tell(fact.path); }
  void operator()(const TaskDelegated& fact) { Tell(fact.path); }

  void operator()(const TaskEscalated& fact) {
    const NodeIndex index = Tell(fact.path);
    const Step& step = state_.step_of(index);
    const absl::Duration gone = event_.time - state_.tasks.at(index).opened_at;
    Wake(index, std::min({fact.until - event_.time, step.timeout - gone, step.deadline - gone}));
  }

  void operator()(const TaskClosed& fact) {
    if (fact.outcome != TaskOutcome::kApproved) {  // what becomes of the step follows
      return ForgetTask(state_, FindNode(state_, fact.path));
    }
    const NodeIndex index = Take(fact.path);
    Forgive(state_, index, OwedKind::kWake);
    node(index).output = fact.output;
    LeaveWait(state_, index);
  }

  void operator()(const StepsRewound& fact) { Rewind(state_, fact); }

  void operator()(const StepHeld& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kWaiting;
    node(index).held = true;
    ++state_.held;
  }

  void operator()(const StepReleased& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kPending;
    node(index).released = true;
    Release(state_, index);
  }

  void operator()(const StepStarted& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kRunning;
    const Step& step = state_.step_of(index);
    Wake(index, std::min(step.timeout, step.deadline));
    OpenScope(state_, step.children, index);
    if (step.children.empty()) Leave(state_, index);
  }

  void operator()(const AttemptStarted& fact) {
    const NodeIndex index = Take(fact.path);
    Node& n = node(index);
    n.status = Status::kRunning;
    n.attempt = fact.attempt;
    n.begun_at = event_.time;
    n.retry_at = absl::InfinitePast();
    if (!fact.input.absent()) n.input = fact.input;
    n.idempotency_key = fact.idempotency_key;
    // What `set` and `fail` come to is part of the resolution.
    const flowspec::StepKind kind = state_.step_of(index).kind;
    n.recorded = kind != flowspec::StepKind::kSet && kind != flowspec::StepKind::kFail;
    if (!fact.turn.empty()) state_.turns[index] = fact.turn;
    if (!fact.cache_key.empty()) state_.cache_keys[index] = fact.cache_key;
    Hold(state_, index, fact.most);
    Owe(state_, index, OwedKind::kRun);
    if (n.wake_at == absl::InfiniteFuture()) Wake(index, state_.step_of(index).deadline);
  }

  void operator()(const AttemptFinished& fact) {
    const NodeIndex index = Take(fact.path);
    Forgive(state_, index, OwedKind::kRun);
    Forgive(state_, index, OwedKind::kStop);
    Charge(state_, index, fact);
    Node& n = node(index);
    n.error = fact.error;
    if (fact.outcome == Outcome::kFailed) ++n.failures;
    if (fact.outcome == Outcome::kUnknown) ++n.unknowns;
    if (!IsTerminal(fact.step_status)) return;  // RetryScheduled or StepParked follows
    n.output = fact.output;
    n.artifacts = fact.artifacts;
    if (fact.step_status == Status::kSucceeded) n.error = Error();
    Finish(state_, index, fact.step_status);
  }

  void operator()(const RetryScheduled& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).status = Status::kWaiting;
    node(index).retry_at = fact.at;
    Owe(state_, index, OwedKind::kResolve);
  }

  void operator()(const StepSkipped& fact) {
    EndWithReason(fact.path, fact.reason, Status::kSkipped);
  }

  void operator()(const StepCancelled& fact) {
    EndWithReason(fact.path, fact.reason, Status::kCancelled);
  }

  void operator()(const StepParked& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).reason = fact.reason;
    Park(state_, index);
  }

  void operator()(const StepFinished& fact) {
    const NodeIndex index = Take(fact.path);
    node(index).output = fact.output;
    node(index).error = fact.error;
    Finish(state_, index, fact.status);
  }

  void operator()(const StopRequested& fact) {
    const NodeIndex index = fact.path.empty() ? kRunNode : Take(fact.path);
    if (index == kRunNode) {
      if (!state_.stop || fact.force) state_.stop = fact;
      Unpause(state_);
      Forgive(state_, kRunNode, OwedKind::kWake);
      if (state_.run_owed[static_cast<size_t>(OwedKind::kResolve)] != 0) {
        Forgive(state_, kRunNode, OwedKind::kResolve);
        SetDue(state_, kRunNode, DueKind::kSection);
      }
      if (state_.status == Status::kPending) SetDue(state_, kRunNode, DueKind::kSection);
    } else {
      node(index).stop_self = true;
      Forgive(state_, index, OwedKind::kWake);
    }
    StopBelow(state_, index, fact.reason);
  }

  void operator()(const OutputsResolved& fact) {
    Forgive(state_, kRunNode, OwedKind::kResolve);
    state_.outputs = fact.outputs;
    state_.outputs_known = true;
    if (!fact.error.ok() && state_.error.ok()) state_.error = fact.error;
    SetDue(state_, kRunNode, DueKind::kSection);
  }

  void operator()(const SectionStarted& fact) {
    ClearDue(state_, kRunNode);
    Forgive(state_, kRunNode, OwedKind::kWake);  // the run's timeout is for its main steps
    if (fact.section != Section::kCompensate) return Open(fact.section);
    state_.section = fact.section;
    state_.undone = true;
    OpenUndo(state_);
  }

  void operator()(const RunFinished& fact) {
    ClearDue(state_, kRunNode);
    Forgive(state_, kRunNode, OwedKind::kWake);
    state_.status = fact.status;
    state_.error = fact.error;
    state_.finished_at = event_.time;
  }

  void operator()(const Intervened& fact) {
    if (!fact.request_id.empty()) state_.requests.emplace(fact.request_id, fact.request_hash);
  }
  void operator()(const RunReopened& fact) { Reopen(state_, fact, event_.time); }
  void operator()(const StepRequeued& fact) { Requeue(state_, fact, event_.time); }
  void operator()(const StepMarked& fact) { MarkDone(state_, fact, event_.time); }
  void operator()(const RunPaused&) { state_.paused = true; }
  void operator()(const RunResumed&) { Unpause(state_); }
  void operator()(const LetterDropped&) {}  // of the list of dead letters, not of the run
  void operator()(const InputsChanged& fact) { state_.start.inputs = fact.inputs; }
  void operator()(const StepReused& fact) {
    if (state_.status != Status::kPending) return Reuse(state_, fact);
    state_.reused.push_back(fact);
  }

 private:
  Node& node(NodeIndex i) { return state_.nodes[static_cast<size_t>(i)]; }

  // The node a fact is about; what it was due or was to be resolved is settled by the fact.
  NodeIndex Take(const std::string& path) {
    const NodeIndex index = FindNode(state_, path);
    CHECK(index >= 0);
    ClearDue(state_, index);
    Forgive(state_, index, OwedKind::kResolve);
    return index;
  }

  // The node whose task the event is about.
  NodeIndex Tell(const std::string& path) {
    const NodeIndex index = FindNode(state_, path);
    CHECK(state_.tasks.contains(index));
    Apply(event_, &state_.tasks.at(index));
    return index;
  }

  void EndWithReason(const std::string& path, const std::string& reason, Status status) {
    const NodeIndex index = Take(path);
    node(index).reason = reason;
    Finish(state_, index, status);
  }

  void Begin() {
    state_.status = Status::kRunning;
    Wake(kRunNode, state_.plan->flow->timeout);
    Open(Section::kMain);
    for (const StepReused& reused : std::exchange(state_.reused, {})) Reuse(state_, reused);
  }

  void Open(Section section) {
    state_.section = section;
    NodeIndex& first = state_.first[static_cast<size_t>(section)];
    if (first >= 0) return OpenSectionAgain(state_, section);
    first = OpenScope(state_, state_.plan->section(section), kRunNode);
  }

  void Wake(NodeIndex index, absl::Duration after) {
    if (after == absl::InfiniteDuration()) return;
    (index == kRunNode ? state_.wake_at : node(index).wake_at) = event_.time + after;
    Owe(state_, index, OwedKind::kWake);
  }

  RunState& state_;
  const Event& event_;
};

}  // namespace

RunState Evolve(RunState state, const Event& event) {
  CHECK(event.seq == state.seq + 1);
  state.seq = event.seq;
  std::visit(Fold(state, event), event.fact);
  return state;
}

}  // namespace beamline::run
