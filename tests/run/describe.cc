// One line for each kind of fact and effect.
#include "tests/run/describe.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace beamline::run {
namespace {

std::string At(absl::Time time) {
  return absl::StrCat("+", absl::FormatDuration(time - TestStart()));
}

std::string Text(const Value& value) {
  if (value.absent()) return "";
  return absl::StrCat(" ", value.is_blob() ? "<blob>" : value.json());
}

std::string Text(const Error& error) {
  return error.ok() ? "" : absl::StrCat(" (", error.kind, ": ", error.message, ")");
}

std::string Path(const std::string& path) { return path.empty() ? "the run" : path; }

const char* SectionName(flowspec::Section section) {
  static constexpr const char* kNames[] = {"main", "on_failure", "finally", "compensate"};
  return kNames[static_cast<size_t>(section)];
}

struct Teller {
  std::string operator()(const RunStarted& f) { return absl::StrCat(f.flow_name, Text(f.inputs)); }
  std::string operator()(const ForeachStarted& f) {
    return absl::StrCat(f.path, " ", f.count, " items");
  }
  std::string operator()(const StepStarted& f) { return f.path; }
  std::string operator()(const AttemptStarted& f) {
    return absl::StrCat(f.path, "#", f.attempt, Text(f.input),
                        f.most == Cost() ? "" : absl::StrCat(" holds ", f.most.tokens, " tokens"));
  }
  std::string operator()(const AttemptFinished& f) {
    const std::string final =
        IsTerminal(f.step_status) ? absl::StrCat(", step ", StatusName(f.step_status)) : "";
    return absl::StrCat(f.path, "#", f.attempt, " ", OutcomeName(f.outcome), final, Text(f.output),
                        Text(f.error));
  }
  std::string operator()(const RetryScheduled& f) {
    return absl::StrCat(f.path, "#", f.attempt, " at ", At(f.at));
  }
  std::string operator()(const StepSkipped& f) { return absl::StrCat(f.path, ": ", f.reason); }
  std::string operator()(const StepCancelled& f) { return absl::StrCat(f.path, ": ", f.reason); }
  std::string operator()(const StepParked& f) { return absl::StrCat(f.path, ": ", f.reason); }
  std::string operator()(const StepFinished& f) {
    return absl::StrCat(f.path, " ", StatusName(f.status), Text(f.output), Text(f.error));
  }
  std::string operator()(const StopRequested& f) {
    return absl::StrCat(Path(f.path), " ", StopReasonName(f.reason), f.force ? " by force" : "");
  }
  std::string operator()(const OutputsResolved& f) {
    return absl::StrCat(Text(f.outputs), Text(f.error));
  }
  std::string operator()(const SectionStarted& f) { return SectionName(f.section); }
  std::string operator()(const RunFinished& f) {
    return absl::StrCat(StatusName(f.status), Text(f.error));
  }

  std::string operator()(const RunAdmitted&) { return ""; }
  std::string operator()(const LoopDecided& f) {
    return absl::StrCat(f.path, " round ", f.round, f.again ? ", again" : ", enough");
  }
  std::string operator()(const CacheHit& f) {
    return absl::StrCat(f.path, " ", f.key, " from ", f.from_path, Text(f.output));
  }
  std::string operator()(const WaitStarted& f) {
    std::string text = f.path;
    if (!f.signal.empty()) absl::StrAppend(&text, " for `", f.signal, "` ", f.match);
    if (f.until != absl::InfiniteFuture()) absl::StrAppend(&text, " until ", At(f.until));
    return text;
  }
  std::string operator()(const WaitEnded& f) {
    return absl::StrCat(f.path, f.signal > 0 ? absl::StrCat(" by signal ", f.signal) : " by time");
  }
  std::string operator()(const SignalReceived& f) { return absl::StrCat(f.name, Text(f.payload)); }
  std::string operator()(const TaskOpened& f) {
    std::string text = absl::StrCat(f.path, " t", f.task, " round ", f.round);
    if (f.max_rounds > 0) absl::StrAppend(&text, "/", f.max_rounds);
    absl::StrAppend(&text, " \"", f.title, "\"", Text(f.show), " digest ", f.digest.substr(0, 6));
    if (f.quorum > 1) absl::StrAppend(&text, " quorum ", f.quorum);
    if (f.until != absl::InfiniteFuture()) absl::StrAppend(&text, " until ", At(f.until));
    if (f.previous > 0) absl::StrAppend(&text, " after event ", f.previous);
    return text;
  }
  std::string operator()(const TaskDecided& f) {
    static constexpr const char* kVerdicts[] = {"approve", "reject", "request-changes", "respond"};
    std::string text = absl::StrCat(f.path, " t", f.task, " round ", f.round, " ", f.voter, ": ",
                                    kVerdicts[static_cast<size_t>(f.verdict)], Text(f.payload));
    if (!f.comment.empty()) absl::StrAppend(&text, " \"", f.comment, "\"");
    if (f.digest != f.shown) absl::StrAppend(&text, " digest ", f.digest.substr(0, 6));
    if (f.approvals > 0) absl::StrAppend(&text, ", ", f.approvals, " so far");
    return text;
  }
  std::string operator()(const TaskDelegated& f) {
    return absl::StrCat(f.path, " t", f.task, " ", f.voter, " to ", f.to);
  }
  std::string operator()(const TaskEscalated& f) {
    return absl::StrCat(f.path, " t", f.task, " until ", At(f.until), " to ",
                        absl::StrJoin(f.to, " "));
  }
  std::string operator()(const TaskClosed& f) {
    return absl::StrCat(f.path, " t", f.task, " ", TaskOutcomeName(f.outcome), Text(f.output));
  }
  std::string operator()(const StepsRewound& f) {
    return absl::StrCat("for ", f.path, ": ", absl::StrJoin(f.steps, " "), " because ", f.by,
                        " said \"", f.comment, "\" in round ", f.round);
  }
  std::string operator()(const StepHeld& f) { return f.path; }
  std::string operator()(const StepReleased& f) { return f.path; }
  std::string operator()(const Intervened& f) {
    return absl::StrCat(VerbName(f.verb), f.reason.empty() ? "" : ": ", f.reason);
  }
  std::string operator()(const RunReopened& f) { return SectionName(f.section); }
  std::string operator()(const StepRequeued& f) {
    return absl::StrCat(f.path, f.anew ? " anew" : "", f.follows ? ", follows" : "");
  }
  std::string operator()(const StepMarked& f) {
    return absl::StrCat(f.path, Text(f.output), f.reason.empty() ? "" : ": ", f.reason);
  }
  std::string operator()(const RunPaused&) { return ""; }
  std::string operator()(const RunResumed&) { return ""; }
  std::string operator()(const LetterDropped& f) { return f.path; }
  std::string operator()(const InputsChanged& f) { return Text(f.inputs); }
  std::string operator()(const StepReused& f) {
    return absl::StrCat(f.path, " ", StatusName(f.status), Text(f.output),
                        f.count > 0 ? absl::StrCat(", ", f.count, " items") : "");
  }

  std::string operator()(const ResolveStep& e) {
    std::string text = e.phase == ReportResolution::Phase::kLeave   ? " leave"
                       : e.phase == ReportResolution::Phase::kRound ? " round"
                                                                    : "";
    if (e.attempt > 0) text = absl::StrCat("#", e.attempt);
    if (e.recorded && e.not_before == absl::InfinitePast()) text += " as recorded";
    if (e.not_before != absl::InfinitePast()) absl::StrAppend(&text, " at ", At(e.not_before));
    return text;
  }
  std::string operator()(const RunAttempt& e) { return absl::StrCat("#", e.attempt); }
  std::string operator()(const StopAttempt& e) {
    return absl::StrCat("#", e.attempt, " ", StopReasonName(e.reason), e.force ? " by force" : "");
  }
  std::string operator()(const WakeAt& e) {
    return absl::StrCat(" at ", At(e.at), " for the ", StopReasonName(e.reason));
  }
};

}  // namespace

absl::Time TestStart() { return absl::FromUnixSeconds(1'700'000'000); }

std::string Describe(const Event& event) {
  const std::string text = std::visit(Teller(), event.fact);
  return absl::StrCat(FactName(event.fact), text.empty() || text[0] == ' ' ? "" : " ", text);
}

std::string Describe(const Effect& effect) {
  static constexpr const char* kNames[] = {"ResolveStep", "RunAttempt", "StopAttempt", "WakeAt"};
  return absl::StrCat(kNames[effect.what.index()], " ", Path(effect.path),
                      std::visit(Teller(), effect.what));
}

}  // namespace beamline::run
