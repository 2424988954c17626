// Each rule is a fold over the facts, told in the order they reached the disk.
#include "tests/run/simulation_rules.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::run {

void SimulationRules::Violation(std::string what) {
  if (result_.violation.empty()) result_.violation = std::move(what);
}

void SimulationRules::Check(const Event& event) {
  CheckWaits(event);
  CheckTasks(event);
  CheckUndone(event);
}

void SimulationRules::CheckEnd() {
  for (const auto& [number, question] : questions_) {
    if (!question.closed) Violation(absl::StrCat("the run is over, and t", number, " is not"));
  }
}

// A yes needs enough people, none of whom has started the run, who all saw what stands; every
// question ends once.
void SimulationRules::CheckTasks(const Event& event) {
  if (const auto* opened = std::get_if<TaskOpened>(&event.fact)) {
    ++result_.asked;
    Question& question = questions_[opened->task];
    if (question.open || question.closed) {
      Violation(absl::StrCat("t", opened->task, " was asked when it was open or closed"));
    }
    question = {true, false, opened->digest, opened->quorum, {}};
  } else if (const auto* decided = std::get_if<TaskDecided>(&event.fact)) {
    ++result_.decided;
    Question& question = questions_[decided->task];
    given_decisions_.insert(decided->request_id);
    if (decided->voter == "uid:1") Violation("who started the run has decided");
    if (decided->shown != question.digest || shown_[decided->request_id] != decided->shown) {
      Violation("something was decided that was not shown");
    }
    if (decided->verdict == Verdict::kApprove) question.voters.insert(decided->voter);
  } else if (const auto* closed = std::get_if<TaskClosed>(&event.fact)) {
    Question& question = questions_[closed->task];
    if (question.closed) Violation(absl::StrCat("t", closed->task, " was closed twice"));
    question.open = false;
    question.closed = true;
    const bool enough = static_cast<int32_t>(question.voters.size()) >= question.quorum;
    if (closed->outcome == TaskOutcome::kApproved && !enough) Violation("too few have approved");
    if (closed->outcome == TaskOutcome::kApproved) ++result_.approved;
    if (closed->outcome == TaskOutcome::kExpired) ++result_.expired;
  } else if (const auto* rewound = std::get_if<StepsRewound>(&event.fact)) {
    ++result_.rewound;
    for (const uint64_t task : rewound->tasks) questions_[task].open = false;
  }
}

// A signal ends one wait, and only one that came; a time ends a wait only when it has come.
void SimulationRules::CheckWaits(const Event& event) {
  if (std::holds_alternative<SignalReceived>(event.fact)) untaken_.insert(event.seq);
  if (std::holds_alternative<LoopDecided>(event.fact)) ++result_.rounds;
  if (std::holds_alternative<StepHeld>(event.fact)) ++result_.held;
  const auto* ended = std::get_if<WaitEnded>(&event.fact);
  if (ended == nullptr) return;
  ++result_.waits_ended;
  if (ended->signal > 0 && untaken_.erase(ended->signal) == 0) {
    Violation(absl::StrCat("signal ", ended->signal, " was taken twice, or never came"));
  }
}

// What succeeded and can be undone is undone in reverse order, each once.
void SimulationRules::CheckUndone(const Event& event) {
  if (const auto* section = std::get_if<SectionStarted>(&event.fact)) {
    undoing_ = section->section == flowspec::Section::kCompensate;
    if (!undoing_ && !done_.empty() && !forced_ && compensated_) {
      Violation(absl::StrCat(done_.back(), " was not undone"));
    }
    compensated_ = compensated_ || undoing_;
  }
  const auto* stop = std::get_if<StopRequested>(&event.fact);
  forced_ = forced_ || (stop != nullptr && stop->force);
  const std::string& path = FactPath(event.fact);
  constexpr std::string_view kUndo = ".compensate";
  const bool undo = path.size() > kUndo.size() &&
                    path.compare(path.size() - kUndo.size(), kUndo.size(), kUndo) == 0;
  if (!undo || !ended_.contains(path) || undone_.contains(path)) return;
  undone_.insert(path);
  ++result_.undone;
  if (!undoing_) Violation(absl::StrCat(path, " outside its section"));
  if (done_.empty() || done_.back() + std::string(kUndo) != path) {
    return Violation(absl::StrCat(path, " is not the last thing that succeeded"));
  }
  done_.pop_back();
}

// Of what has a `compensate`, in the order of its success in the main steps.
void SimulationRules::Succeeded(const std::string& path) {
  if (path.find(".compensate") != std::string::npos) return;
  std::string id = path.substr(path.rfind('/') + 1);
  const bool item = id.find('[') != std::string::npos;
  id = id.substr(0, id.find('['));
  for (size_t i = 0; i < plan_.flow->steps.size(); ++i) {
    const flowspec::Step& step = plan_.flow->steps[i];
    const bool fan = plan_.fan(static_cast<int32_t>(i)).kind != FanOut::Kind::kNone;
    if (step.id != id || step.compensate < 0 || fan != item) continue;
    if (step.section == flowspec::Section::kMain) done_.push_back(path);
  }
}

}  // namespace beamline::run
