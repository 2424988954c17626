// The names of facts and statuses.
#include "daemon/run/event.h"

namespace beamline::run {
namespace {

template <typename T>
constexpr const char* kName = "";
template <>
constexpr const char* kName<RunStarted> = "RunStarted";
template <>
constexpr const char* kName<ForeachStarted> = "ForeachStarted";
template <>
constexpr const char* kName<StepStarted> = "StepStarted";
template <>
constexpr const char* kName<AttemptStarted> = "AttemptStarted";
template <>
constexpr const char* kName<AttemptFinished> = "AttemptFinished";
template <>
constexpr const char* kName<RetryScheduled> = "RetryScheduled";
template <>
constexpr const char* kName<StepSkipped> = "StepSkipped";
template <>
constexpr const char* kName<StepCancelled> = "StepCancelled";
template <>
constexpr const char* kName<StepParked> = "StepParked";
template <>
constexpr const char* kName<StepFinished> = "StepFinished";
template <>
constexpr const char* kName<StopRequested> = "StopRequested";
template <>
constexpr const char* kName<OutputsResolved> = "OutputsResolved";
template <>
constexpr const char* kName<SectionStarted> = "SectionStarted";
template <>
constexpr const char* kName<RunFinished> = "RunFinished";
template <>
constexpr const char* kName<RunAdmitted> = "RunAdmitted";
template <>
constexpr const char* kName<LoopDecided> = "LoopDecided";
template <>
constexpr const char* kName<CacheHit> = "CacheHit";
template <>
constexpr const char* kName<WaitStarted> = "WaitStarted";
template <>
constexpr const char* kName<WaitEnded> = "WaitEnded";
template <>
constexpr const char* kName<SignalReceived> = "SignalReceived";
template <>
constexpr const char* kName<StepHeld> = "StepHeld";
template <>
constexpr const char* kName<StepReleased> = "StepReleased";
template <>
constexpr const char* kName<Intervened> = "Intervened";
template <>
constexpr const char* kName<RunReopened> = "RunReopened";
template <>
constexpr const char* kName<StepRequeued> = "StepRequeued";
template <>
constexpr const char* kName<StepMarked> = "StepMarked";
template <>
constexpr const char* kName<RunPaused> = "RunPaused";
template <>
constexpr const char* kName<RunResumed> = "RunResumed";
template <>
constexpr const char* kName<LetterDropped> = "LetterDropped";
template <>
constexpr const char* kName<InputsChanged> = "InputsChanged";
template <>
constexpr const char* kName<StepReused> = "StepReused";
template <>
constexpr const char* kName<TaskOpened> = "TaskOpened";
template <>
constexpr const char* kName<TaskDecided> = "TaskDecided";
template <>
constexpr const char* kName<TaskDelegated> = "TaskDelegated";
template <>
constexpr const char* kName<TaskEscalated> = "TaskEscalated";
template <>
constexpr const char* kName<TaskClosed> = "TaskClosed";
template <>
constexpr const char* kName<StepsRewound> = "StepsRewound";

}  // namespace

Fact::Fact(const Fact&) = default;
Fact::Fact(Fact&&) noexcept = default;
Fact& Fact::operator=(const Fact&) = default;
Fact& Fact::operator=(Fact&&) noexcept = default;
Fact::~Fact() = default;

const char* StatusName(Status status) {
  static constexpr const char* kNames[] = {"pending", "running",   "waiting", "succeeded", "failed",
                                           "skipped", "cancelled", "parked",  "paused"};
  return kNames[static_cast<size_t>(status)];
}

bool IsTerminal(Status status) {
  return status >= Status::kSucceeded && status <= Status::kCancelled;
}

const char* VerbName(Verb verb) {
  static constexpr const char* kNames[] = {"retry", "skip", "drop", "pause", "resume"};
  return kNames[static_cast<size_t>(verb)];
}

const char* OutcomeName(Outcome outcome) {
  static constexpr const char* kNames[] = {"succeeded", "failed", "stopped", "unknown"};
  return kNames[static_cast<size_t>(outcome)];
}

const char* TaskOutcomeName(TaskOutcome outcome) {
  static constexpr const char* kNames[] = {"approved", "rejected", "expired", "cancelled"};
  return kNames[static_cast<size_t>(outcome)];
}

const char* StopReasonName(StopReason reason) {
  static constexpr const char* kNames[] = {"cancel", "timeout", "deadline"};
  return kNames[static_cast<size_t>(reason)];
}

const char* FactName(const Fact& fact) {
  return std::visit([](const auto& f) { return kName<std::decay_t<decltype(f)>>; }, fact);
}

const std::string& FactPath(const Fact& fact) {
  static const std::string kRun;
  return std::visit(
      [](const auto& f) -> const std::string& {
        if constexpr (requires { f.path; }) {
          return f.path;
        } else {
          return kRun;
        }
      },
      fact);
}

}  // namespace beamline::run
