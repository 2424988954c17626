// The rules of a run: what may follow what.
#include "daemon/run/decide.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "daemon/run/approval.h"
#include "daemon/run/budget.h"
#include "daemon/run/evolve.h"
#include "daemon/run/intervene.h"
#include "daemon/run/pending.h"
#include "daemon/run/retry.h"
#include "daemon/run/settle.h"
#include "flowspec/json_match.h"
#include "flowspec/value_schema.h"

namespace beamline::run {
namespace {

using flowspec::Effect;
using flowspec::OnError;
using flowspec::Step;
using flowspec::StepKind;
using Facts = absl::StatusOr<std::vector<Fact>>;

// A step that took the daemon down with it each time must not do so for ever.
constexpr int32_t kUnknownsMax = 10;

constexpr size_t kSignalsMax = 1000;  // that nobody has taken yet

absl::Status Stale(const char* what, const std::string& path) {
  const std::string whose = path.empty() ? "the run" : absl::StrCat("`", path, "`");
  return absl::AbortedError(absl::StrCat(what, " of ", whose, " is stale"));
}

class Decision {
 public:
  Decision(const RunState& state, const Command& command, absl::Time now)
      : state_(state), command_(command), now_(now) {}

  Facts operator()(const StartRun& wish) {
    if (state_.seq != 0) return absl::FailedPreconditionError("the run has started already");
    std::vector<Fact> facts{wish.start};
    facts.insert(facts.end(), wish.reused.begin(), wish.reused.end());
    return facts;
  }

  Facts operator()(const RetryStep& wish) { return DecideRetry(state_, wish); }
  Facts operator()(const SkipStep& wish) { return DecideSkip(state_, wish); }
  Facts operator()(const DropStep& wish) { return DecideDrop(state_, wish); }
  Facts operator()(const PauseRun& wish) { return DecidePause(state_, wish); }
  Facts operator()(const ResumePaused& wish) { return DecideResume(state_, wish); }
  Facts operator()(const ReleaseStep& wish) { return DecideRelease(state_, wish); }

  Facts operator()(const ReportResolution& report) {
    // What was under way when the run was paused is worked out again when it goes on.
    if (state_.paused) return absl::AbortedError("the run is paused");
    if (report.path.empty()) return RunOutputs(report);
    const NodeIndex index = FindNode(state_, report.path);
    if (index < 0) return Stale("the resolution", report.path);
    const Node& node = state_.node(index);
    if (node.owed[static_cast<size_t>(OwedKind::kResolve)] == 0 ||
        report.phase != PhaseOf(state_, index)) {
      return Stale("the resolution", report.path);
    }
    if (node.leaving) return Left(report);
    if (report.phase == ReportResolution::Phase::kRound) return Rounded(report, index);
    if (report.ask && report.error.ok() && report.condition) {
      return std::vector<Fact>{OpenTask(state_, index, *report.ask, now_)};
    }
    Facts facts = Entered(report, node, state_.plan->step(node.step));
    const auto task = state_.tasks.find(index);
    if (facts.ok() && task != state_.tasks.end()) {  // it cannot ask again
      facts->insert(facts->begin(),
                    TaskClosed{report.path, task->second.asked.task, TaskOutcome::kCancelled, {}});
    }
    return facts;
  }

  Facts operator()(const DecideTask& wish) { return run::Decide(state_, wish, now_); }
  Facts operator()(const DelegateTask& wish) { return run::Decide(state_, wish); }

  Facts operator()(const ReportAttempt& report) {
    const NodeIndex index = FindNode(state_, report.path);
    if (index < 0) return Stale("the result", report.path);
    const Node& node = state_.node(index);
    if (node.owed[static_cast<size_t>(OwedKind::kRun)] == 0 || node.attempt != report.attempt) {
      return Stale("the result", report.path);
    }
    return Attempted(report, node, state_.plan->step(node.step));
  }

  Facts operator()(const FireTimer& timer) {
    const NodeIndex index = timer.path.empty() ? kRunNode : FindNode(state_, timer.path);
    if (index < 0 && !timer.path.empty()) return Stale("the timer", timer.path);
    const auto& owed = index == kRunNode ? state_.run_owed : state_.node(index).owed;
    if (owed[static_cast<size_t>(OwedKind::kWake)] == 0) return Stale("the timer", timer.path);
    const absl::Time at = index == kRunNode ? state_.wake_at : state_.node(index).wake_at;
    if (now_ < at) return absl::FailedPreconditionError("the timer came before its time");
    if (const auto wait = state_.waits.find(index); wait != state_.waits.end()) {
      return WaitedFor(wait->second, timer.path, state_.step_of(index));
    }
    if (const auto task = state_.tasks.find(index);
        task != state_.tasks.end() && task->second.open) {
      return TimeIsUp(state_, index, now_);
    }
    return std::vector<Fact>{
        StopRequested{timer.path, timer.reason,
                      absl::StrCat("not done by ",
                                   absl::FormatTime(absl::RFC3339_sec, at, absl::UTCTimeZone()))}};
  }

  Facts operator()(const CancelRun& wish) {
    if (IsTerminal(state_.status)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the run is already over: ", StatusName(state_.status)));
    }
    if (!wish.force && state_.stop) {
      return absl::AlreadyExistsError("the run is being stopped already");
    }
    const char* last = state_.section == flowspec::Section::kFinally      ? "finally"
                       : state_.section == flowspec::Section::kCompensate ? "compensate"
                                                                          : nullptr;
    if (!wish.force && last != nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the run is in its `", last, "` steps, which always run; --force ends them, too"));
    }
    return std::vector<Fact>{StopRequested{"", StopReason::kCancel, wish.reason, wish.force}};
  }

  Facts operator()(const SendSignal& wish) {
    if (IsTerminal(state_.status)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the run is already over: ", StatusName(state_.status)));
    }
    if (state_.signal_ids.contains(wish.id)) {
      return absl::AlreadyExistsError("this signal came before");
    }
    if (state_.signals.size() >= kSignalsMax) {
      return absl::ResourceExhaustedError(absl::StrCat(
          kSignalsMax,
          " signals wait to be taken by the run; it takes no more until it took some"));
    }
    std::vector<Fact> facts{SignalReceived{wish.name, wish.payload, wish.id}};
    // The first one that waits, in the order of the run's nodes.
    for (auto at = state_.listening.lower_bound({wish.name, 0});
         at != state_.listening.end() && at->first == wish.name; ++at) {
      if (!Takes(state_.waits.at(at->second), wish.payload)) continue;
      facts.push_back(WaitEnded{PathOf(state_, at->second), state_.seq + 1});
      break;
    }
    return facts;
  }

  Facts operator()(const AdmitRun&) {
    if (state_.status != Status::kPending || state_.stop) return Stale("the turn", "");
    return std::vector<Fact>{RunAdmitted{}};
  }

  Facts operator()(const StopStep& wish) {
    const NodeIndex index = FindNode(state_, wish.path);
    if (index < 0 || IsTerminal(state_.node(index).status) || state_.node(index).stop) {
      return Stale("the stop", wish.path);
    }
    return std::vector<Fact>{StopRequested{wish.path, StopReason::kCancel, wish.reason, false}};
  }

 private:
  Facts RunOutputs(const ReportResolution& report) {
    if (state_.run_owed[static_cast<size_t>(OwedKind::kResolve)] == 0) {
      return Stale("the resolution", "outputs");
    }
    return std::vector<Fact>{OutputsResolved{report.output, report.error}};
  }

  Facts Left(const ReportResolution& report) {
    if (!report.error.ok()) {
      return std::vector<Fact>{StepFinished{report.path, Status::kFailed, {}, report.error}};
    }
    return std::vector<Fact>{StepFinished{report.path, Status::kSucceeded, report.output, {}}};
  }

  Facts Rounded(const ReportResolution& report, NodeIndex index) {
    if (!report.error.ok()) {
      return std::vector<Fact>{StepFinished{report.path, Status::kFailed, {}, report.error}};
    }
    return std::vector<Fact>{
        LoopDecided{report.path, state_.fans.at(index).next - 1, report.condition}};
  }

  static bool Takes(const WaitStarted& wait, const Value& payload) {
    const std::string json = payload.absent() ? "null" : payload.json();
    return (wait.match.empty() || flowspec::JsonHolds(json, wait.match)) &&
           (wait.schema.empty() || flowspec::CheckValue(wait.schema, json).empty());
  }

  Facts Waits(const ReportResolution& report) {
    const Wait& wait = *report.wait;
    WaitStarted fact{report.path, std::min(wait.until, now_ + wait.pause), wait.signal, wait.match,
                     wait.schema};
    std::vector<Fact> facts{fact};
    for (const Signal& signal : state_.signals) {
      if (signal.name != wait.signal || !Takes(fact, signal.payload)) continue;
      facts.push_back(WaitEnded{report.path, signal.seq});
      return facts;
    }
    if (fact.until <= now_) facts.push_back(WaitEnded{report.path});
    return facts;
  }

  // The time of a wait has come, or its time is over.
  Facts WaitedFor(const WaitStarted& wait, const std::string& path, const Step& step) {
    if (wait.until <= now_) return std::vector<Fact>{WaitEnded{path}};
    const Error error{"timeout", wait.signal.empty()
                                     ? std::string("not done within its time")
                                     : absl::StrCat("the signal `", wait.signal,
                                                    "` did not come within its time")};
    if (step.on_error == OnError::kPark) return std::vector<Fact>{StepParked{path, error.message}};
    return std::vector<Fact>{StepFinished{path, Status::kFailed, {}, error}};
  }

  Facts Entered(const ReportResolution& report, const Node& node, const Step& step) {
    if (now_ < node.retry_at) {
      return absl::FailedPreconditionError("the retry came before its time");
    }
    const bool container = step.kind == StepKind::kDo || step.kind == StepKind::kParallel;
    if (!report.error.ok() && (step.kind != StepKind::kFail || report.error.kind != "fail")) {
      return Refuse(report.path, step, report.error);
    }
    if (!report.condition && step.condition >= 0) {
      const std::string& source =
          state_.plan->flow->expressions[static_cast<size_t>(step.condition)].source;
      return std::vector<Fact>{
          StepSkipped{report.path, absl::StrCat("`if: ", source, "` is false")}};
    }
    if (node.is_fan) {
      return std::vector<Fact>{
          ForeachStarted{report.path, report.items, report.keys, report.count}};
    }
    if (container) return std::vector<Fact>{StepStarted{report.path}};
    if (report.wait) return Waits(report);
    if (report.hit) return std::vector<Fact>{*report.hit};
    if (report.attempt != node.attempt + 1) return Stale("the resolution", report.path);
    const NodeIndex index = FindNode(state_, report.path);
    const auto held = state_.holds.find(index);  // of the attempt before this one
    const Cost most = held == state_.holds.end() ? report.most : held->second;
    if (most != Cost() || !report.unpriced.empty()) {
      const Error over = OverBudget(state_, index, most, report.unpriced);
      if (!over.ok()) return Refuse(report.path, step, over);
    }
    std::vector<Fact> facts{AttemptStarted{report.path, report.attempt, report.input,
                                           report.idempotency_key, report.cache_key,
                                           report.cache_miss, report.turn, most}};
    if (step.kind == StepKind::kSet) {
      facts.push_back(
          AttemptFinished{.path = report.path, .attempt = report.attempt, .output = report.output});
    } else if (step.kind == StepKind::kFail) {
      AttemptFinished fact{report.path, report.attempt, Outcome::kFailed, {}, report.error,
                           {},          Status::kFailed};
      FinishOrPark(step, &fact, &facts);
    }
    return facts;
  }

  // The step ends, or parks, before an attempt of it starts.
  static Facts Refuse(const std::string& path, const Step& step, const Error& error) {
    if (step.on_error == OnError::kPark) return std::vector<Fact>{StepParked{path, error.message}};
    return std::vector<Fact>{StepFinished{path, Status::kFailed, {}, error}};
  }

  Facts Attempted(const ReportAttempt& report, const Node& node, const Step& step) {
    AttemptFinished fact{report.path,  report.attempt,   report.outcome,     report.output,
                         report.error, report.artifacts, Status::kSucceeded, report.usage};
    fact.child_run = report.child_run;
    std::vector<Fact> facts;
    if (report.outcome == Outcome::kSucceeded) {
      const auto cached = state_.cache_keys.find(FindNode(state_, report.path));
      if (cached != state_.cache_keys.end() && step.cache) {
        fact.cache_key = cached->second;
        fact.cached_until = now_ + step.cache->ttl;
      }
      facts.push_back(std::move(fact));
    } else if (node.stop) {
      const bool failed = node.stop_self && *node.stop != StopReason::kCancel;
      fact.step_status = failed ? Status::kFailed : Status::kCancelled;
      if (failed)
        fact.error = {StopReasonName(*node.stop),
                      absl::StrCat("not done within its ", StopReasonName(*node.stop))};
      facts.push_back(std::move(fact));
    } else if (report.outcome == Outcome::kFailed) {
      Failed(report, node, step, std::move(fact), &facts);
    } else {
      Unknown(node, step, std::move(fact), &facts);
    }
    return facts;
  }

  void Failed(const ReportAttempt& report, const Node& node, const Step& step, AttemptFinished fact,
              std::vector<Fact>* facts) {
    const int32_t next = node.attempt + 1;
    absl::Duration delay = RetryDelay(step.retry, node.failures + 2, command_.jitter_seed);
    if (step.retry.honor_retry_after) delay = std::max(delay, report.retry_after);
    const bool again = node.failures + 1 < step.retry.max &&
                       RetryMatches(step.retry, report.error) && now_ + delay < node.wake_at;
    if (!again) return FinishOrPark(step, &fact, facts);
    fact.step_status = Status::kRunning;
    facts->push_back(fact);
    facts->push_back(RetryScheduled{fact.path, next, now_ + delay});
  }

  void FinishOrPark(const Step& step, AttemptFinished* fact, std::vector<Fact>* facts) {
    const bool park = step.on_error == OnError::kPark;
    fact->step_status = park ? Status::kRunning : Status::kFailed;
    facts->push_back(*fact);
    if (park)
      facts->push_back(
          StepParked{fact->path, absl::StrCat("failed for good: ", fact->error.message)});
  }

  // The attempt may or may not have had its effect. What may be done about it is the step's
  // declared effect; the same idempotency key goes with every repetition.
  void Unknown(const Node& node, const Step& step, AttemptFinished fact, std::vector<Fact>* facts) {
    fact.outcome = Outcome::kUnknown;
    fact.step_status = Status::kRunning;
    if (fact.error.ok())
      fact.error = {"unknown", "the attempt was interrupted; whether it took effect is unknown"};
    facts->push_back(fact);
    const bool never = std::find(step.retry.never.begin(), step.retry.never.end(), "unknown") !=
                       step.retry.never.end();
    if (step.effect == Effect::kOnce || never) {
      facts->push_back(
          StepParked{fact.path, "its outcome is unknown and its effect must not happen twice"});
    } else if (node.unknowns + 1 >= kUnknownsMax) {
      facts->push_back(StepParked{fact.path, absl::StrCat("interrupted ", kUnknownsMax, " times")});
    } else {
      facts->push_back(RetryScheduled{fact.path, node.attempt + 1, now_});
    }
  }

  const RunState& state_;
  const Command& command_;
  absl::Time now_;
};

}  // namespace

absl::StatusOr<std::vector<Event>> Decide(const RunState& state, const Command& command,
                                          absl::Time now) {
  // What people wish is refused with a better word, or brings the run back.
  const bool of_programs = std::holds_alternative<ReportResolution>(command.wish) ||
                           std::holds_alternative<ReportAttempt>(command.wish) ||
                           std::holds_alternative<FireTimer>(command.wish) ||
                           std::holds_alternative<AdmitRun>(command.wish) ||
                           std::holds_alternative<StopStep>(command.wish);
  if (IsTerminal(state.status) && of_programs) return absl::AbortedError("the run is finished");
  Facts facts = std::visit(Decision(state, command, now), command.wish);
  if (!facts.ok()) return facts.status();
  std::vector<Event> events;
  events.reserve(facts->size());
  for (Fact& fact : *facts) {
    events.push_back({state.seq + events.size() + 1, now, command.actor, std::move(fact)});
  }
  return events;
}

absl::StatusOr<std::vector<Event>> Advance(RunState& state, const Command& command,
                                           absl::Time now) {
  absl::StatusOr<std::vector<Event>> events = Decide(state, command, now);
  if (!events.ok()) return events;
  for (const Event& event : *events) state = Evolve(std::move(state), event);
  while (!state.due.empty()) {
    for (Event& event : Settle(state, now)) {
      state = Evolve(std::move(state), event);
      events->push_back(std::move(event));
    }
  }
  return events;
}

}  // namespace beamline::run
