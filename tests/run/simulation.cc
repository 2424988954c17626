// The world and the model. The model knows only what an outsider sees: what was started, what was
// answered, what is in the log.
#include "tests/run/simulation.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/run/dead_letter.h"
#include "daemon/run/decide.h"
#include "daemon/run/evolve.h"
#include "daemon/run/pending.h"
#include "flowspec/check.h"
#include "tests/run/describe.h"
#include "tests/run/random_flow.h"
#include "tests/run/simulation_rules.h"

namespace beamline::run {
namespace {

// FNV-1a: a hash that is the same in every process.
uint64_t Fnv(uint64_t hash, const std::string& text) {
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  return hash;
}

class World {
 public:
  World(uint64_t seed, Plant plant)
      : random_(seed), plant_(plant), plan_(RandomFlow(random_)), state_(plan_) {}

  SimulationResult Play() {
    StartRun wish;
    wish.start.flow_name = plan_->flow->name;
    wish.start.queued = random_.Chance(10);
    if (random_.Chance(15)) wish.start.break_at = {plan_->step(plan_->flow->main.back()).id};
    Send({"uid:1", 0, wish});
    Sync();
    for (int turn = 0; turn < 120 && (!Over() || ComeBack()); ++turn) Turn();
    // From here on the world is kind: whatever is owed is done.
    for (int turn = 0; turn < 4000 && !Over(); ++turn) KindTurn();
    Sync();
    CheckEnd();
    for (const Event& event : log_) {
      result_.hash = Fnv(result_.hash,
                         absl::StrCat(event.seq, Describe(event), absl::ToUnixNanos(event.time)));
    }
    result_.events = static_cast<int>(log_.size());
    return result_;
  }

 private:
  using AttemptKey = std::pair<std::string, int32_t>;

  bool Over() const {
    return !result_.violation.empty() || IsTerminal(state_.status) ||
           (RunStatusOf(state_) == Status::kWaiting && unsynced_.empty() && state_.waits.empty() &&
            state_.held == 0 && state_.asking == 0);
  }
  void Violation(std::string what) {
    if (result_.violation.empty()) result_.violation = std::move(what);
  }

  // One random thing happens.
  void Turn() {
    const uint64_t dice = random_.Below(104);
    if (dice >= 100) return Intervene();
    if (dice < 45) return DoOwed();
    if (dice < 70) return Sync();
    if (dice < 75) return state_.asking > 0 ? Decide() : Sync();
    if (dice < 83) return Pass(absl::Milliseconds(static_cast<int64_t>(random_.Below(8000))));
    if (dice < 88) return Repeat();
    if (dice < 91) return Crash();
    if (dice < 94) return FireEarly();
    if (dice < 96) return StepClock();
    if (dice < 97) return Cancel();
    if (dice < 98) return state_.asking > 0 ? Decide() : Signal();
    if (dice < 99) return LetGo();
    return StopNow();
  }

  void KindTurn() {
    Sync();
    Pass(absl::Minutes(2));  // the clock may have been stepped back by days
    if (!state_.listening.empty()) Signal();
    LetGo();
    if (state_.paused) Send({"uid:1", 0, ResumePaused{}});
    if (state_.asking > 0) Answer();
    DoOwed();
  }

  // A run that is over, or waits for a person, is brought back a few times.
  bool ComeBack() {
    if (!result_.violation.empty() || returns_left_ == 0) return false;
    --returns_left_;
    Sync();
    for (int tries = 0; tries < 5; ++tries) {
      Intervene();
      if (!Over()) return true;
    }
    return false;
  }

  // Somebody retries, skips, drops or pauses something that may be in any state.
  void Intervene() {
    Intervention why{"dice", absl::StrCat("q", random_.Below(40)), "h"};
    const bool known = state_.requests.contains(why.request_id);
    std::string path;
    if (random_.Chance(70)) {
      const auto stuck = static_cast<NodeIndex>(random_.Below(state_.nodes.size() + 1));
      if (stuck < static_cast<NodeIndex>(state_.nodes.size()) && state_.node(stuck).step >= 0) {
        path = PathOf(state_, stuck);
      }
      if (random_.Chance(20)) absl::StrAppend(&path, "[", random_.Below(4), "]");
    }
    bool taken = false;
    const uint64_t dice = random_.Below(100);
    if (dice < 55) {
      RetryStep retry{why, path, random_.Chance(30), random_.Chance(30)};
      if (random_.Chance(20)) retry.inputs = Value::Json("{}");
      taken = Send({"uid:1", 0, retry});
    } else if (dice < 75) {
      taken = Send({"uid:1", 0, SkipStep{why, path, Value::Json("3")}});
    } else if (dice < 85) {
      taken = Send({"uid:1", 0, DropStep{why, path}});
    } else if (state_.paused) {
      taken = Send({"uid:1", 0, ResumePaused{why}});
    } else {
      taken = Send({"uid:1", 0, PauseRun{why}});
    }
    if (taken && known) Violation("the same request was carried out twice");
    if (taken) ++result_.interventions;
  }

  void Pass(absl::Duration time) { now_ += time; }

  void StepClock() {
    ++result_.clock_steps;
    static constexpr int64_t kSteps[] = {-86400, -3600, -1, 1, 3600, 86400};
    now_ += absl::Seconds(kSteps[random_.Below(6)]);
  }

  void Cancel() { Send({"uid:1", 0, CancelRun{"dice", random_.Chance(20)}}); }

  // A new signal, or one that came before.
  void Signal() {
    const bool again = signals_sent_ > 0 && random_.Chance(30);
    const uint64_t id = again ? random_.Below(signals_sent_) : signals_sent_++;
    const std::string name = absl::StrCat("sig", id);
    const bool known = state_.signal_ids.contains(name);
    const bool taken = Send({"uid:1", 0, SendSignal{"go", Value::Json("1"), name}});
    if (taken && known) Violation("the same signal was taken in twice");
    ++result_.signals;
  }

  // Somebody decides about something: about what stands or what stood, or gives an answer that was
  // given before.
  void Decide() {
    std::vector<DecideTask> wishes;
    for (const auto& [index, task] : state_.tasks) {
      const bool seen = random_.Chance(70);
      const uint64_t voter = random_.Below(4);  // 3: who has started the run
      const std::string name = voter == 3 ? "uid:1" : absl::StrCat("voter", voter);
      static constexpr Verdict kVerdicts[] = {Verdict::kApprove, Verdict::kApprove,
                                              Verdict::kRequestChanges, Verdict::kReject};
      DecideTask wish{.path = PathOf(state_, index),
                      .task = task.asked.task,
                      .verdict = kVerdicts[random_.Below(4)],
                      .digest = seen ? task.digest : absl::StrCat("old", random_.Below(3)),
                      .comment = "dice",
                      .request_id = absl::StrCat("decision", ++decisions_sent_),
                      .voter = {name, {"user:" + name}}};
      wishes.push_back(std::move(wish));
    }
    const bool again = !decisions_.empty() && random_.Chance(25);
    if (!again && wishes.empty()) return;
    DecideTask wish =
        again ? decisions_[random_.Below(decisions_.size())] : wishes[random_.Below(wishes.size())];
    rules_.Shown(wish.request_id, wish.digest);
    if (plant_ == Plant::kDecideUnseen) {
      const auto task = state_.tasks.find(FindNode(state_, wish.path));
      if (task != state_.tasks.end()) wish.digest = task->second.digest;
    }
    const bool known = again && rules_.WasGiven(wish.request_id);
    if (!Send({wish.voter.name, 0, wish})) {
      ++result_.refused;
      return;
    }
    if (known) Violation("the same decision was taken twice");
    if (!again) decisions_.push_back(wish);
  }

  // A kind world answers.
  void Answer() {
    for (const auto& [index, task] : state_.tasks) {
      if (!task.open) continue;
      const std::string name = absl::StrCat("kind", ++decisions_sent_);
      DecideTask wish{.path = PathOf(state_, index),
                      .task = task.asked.task,
                      .verdict = Verdict::kApprove,
                      .digest = task.digest,
                      .request_id = name,
                      .voter = {name, {"user:" + name}}};
      rules_.Shown(wish.request_id, wish.digest);
      Send({name, 0, wish});
      return;
    }
  }

  // What is queued or held before its start may go on.
  void LetGo() {
    if (state_.status == Status::kPending) Send({"system", 0, AdmitRun{}});
    if (state_.held > 0) Send({"uid:1", 0, ReleaseStep{}});
  }

  // The core is handed a command; its facts wait for the disk.
  bool Send(const Command& command) {
    const absl::Time now = plant_ == Plant::kEarlyTimer ? now_ + absl::Hours(2) : now_;
    auto events = Advance(state_, command, now);
    if (!events.ok()) return false;
    for (DeadLetterChange& change : DeadLetterChanges(state_, *events)) {
      unsynced_letters_.push_back(std::move(change));
    }
    for (Event& event : *events) {
      CheckTime(event);
      unsynced_.push_back(std::move(event));
    }
    if (plant_ == Plant::kActBeforeSync) HandOut();
    return true;
  }

  // What was decided is on disk now, and the world may hear of it.
  void Sync() {
    for (Event& event : unsynced_) {
      Check(event);
      log_.push_back(std::move(event));
    }
    unsynced_.clear();
    for (const DeadLetterChange& change : std::exchange(unsynced_letters_, {})) {
      std::erase_if(letters_, [&](const auto& letter) {
        return change.below ? IsAtOrBelow(letter.first, change.path) : letter.first == change.path;
      });
      if (change.letter) letters_.emplace(change.path, change.letter->parked);
    }
    HandOut();
  }

  void HandOut() {
    for (const Effect& effect : PendingSince(state_, handed_out_)) {
      if (const auto* run = std::get_if<RunAttempt>(&effect.what))
        Began({effect.path, run->attempt});
      owed_.push_back(effect);
      handed_out_ = effect.order;
    }
  }

  // Somebody begins an attempt for real.
  void Began(const AttemptKey& key) {
    if (!began_.insert(key).second)
      Violation(absl::StrCat(key.first, "#", key.second, " began twice"));
    const NodeIndex node = FindNode(state_, key.first);
    const bool once = node >= 0 && state_.step_of(node).effect == flowspec::Effect::kOnce;
    if (once && unknown_.contains(key.first)) {
      Violation(
          absl::StrCat(key.first, ": an effect that must happen once may have happened twice"));
    }
  }

  // A random thing that is owed is done, in any order.
  void DoOwed() {
    if (owed_.empty()) return;
    const size_t i = random_.Below(owed_.size());
    const Effect effect = owed_[i];
    if (const auto* wake = std::get_if<WakeAt>(&effect.what); wake != nullptr && now_ < wake->at) {
      return;
    }
    if (const auto* resolve = std::get_if<ResolveStep>(&effect.what);
        resolve != nullptr && now_ < resolve->not_before) {
      return;
    }
    owed_.erase(owed_.begin() + static_cast<ptrdiff_t>(i));
    Do(effect);
  }

  void Do(const Effect& effect) {
    if (const auto* resolve = std::get_if<ResolveStep>(&effect.what)) {
      Send({"system", random_.Below(1000), Resolution(effect.path, *resolve)});
    } else if (const auto* run = std::get_if<RunAttempt>(&effect.what)) {
      Answer({effect.path, run->attempt}, Outcomes());
    } else if (const auto* stop = std::get_if<StopAttempt>(&effect.what)) {
      for (size_t i = 0; i < owed_.size(); ++i) {
        const auto* running = std::get_if<RunAttempt>(&owed_[i].what);
        if (running == nullptr || owed_[i].path != effect.path) continue;
        if (running->attempt != stop->attempt) continue;  // of a run's later life
        owed_.erase(owed_.begin() + static_cast<ptrdiff_t>(i));
        Answer({effect.path, stop->attempt},
               random_.Chance(80) ? Outcome::kStopped : Outcome::kSucceeded);
        return;
      }
    } else {
      const auto& wake = std::get<WakeAt>(effect.what);
      Send({"system", 0, FireTimer{effect.path, wake.reason}});
    }
  }

  Outcome Outcomes() {
    const uint64_t dice = random_.Below(100);
    if (dice < 65) return Outcome::kSucceeded;
    return dice < 95 ? Outcome::kFailed : Outcome::kUnknown;
  }

  void Answer(const AttemptKey& key, Outcome outcome) {
    ReportAttempt report{.path = key.first, .attempt = key.second, .outcome = outcome};
    if (outcome == Outcome::kFailed) report.error = {"exit", "dice", 1};
    if (outcome == Outcome::kSucceeded) report.output = Value::Json("1");
    answers_.push_back(report);
    given_.insert({key.first, key.second, outcome});
    Send({"system", random_.Below(1000), report});
  }

  ReportResolution Resolution(const std::string& path, const ResolveStep& effect) {
    ReportResolution report{.path = path, .phase = effect.phase, .attempt = effect.attempt};
    report.condition = random_.Chance(80);
    report.input = Value::Json("{}");
    report.output = Value::Json("2");
    report.idempotency_key = path;
    if (random_.Chance(4)) report.error = {"expression", "dice"};
    if (path.empty()) return report;
    const NodeIndex node = FindNode(state_, path);
    if (node < 0) return report;
    if (state_.node(node).is_fan) {
      const auto& loop = state_.step_of(node).loop;
      if (!loop) report.items = Value::Json("[]");
      report.count = loop ? loop->max : static_cast<int32_t>(random_.Below(5));
    } else if (state_.step_of(node).kind == flowspec::StepKind::kApprove) {
      report.ask = Ask{.task = ++tasks_asked_};
      report.ask->asked = {
          .title = "ok", .digest = absl::StrCat("digest", random_.Below(3)), .rerun = "s"};
      report.ask->asked.max_rounds = 3;
      const std::string& body = state_.step_of(node).input.pieces.front().text;
      const size_t rerun = body.find("\"rerun\":\"") + 9;
      report.ask->asked.rerun = body.substr(rerun, body.find('"', rerun) - rerun);
      report.ask->asked.quorum = 1 + static_cast<int32_t>(random_.Below(2));
      if (random_.Chance(40)) report.ask->timeout = absl::Seconds(30);
      report.ask->asked.escalates = random_.Chance(30);
    } else if (state_.step_of(node).kind == flowspec::StepKind::kWait) {
      const std::string& body = state_.step_of(node).input.pieces.front().text;
      report.wait = Wait();
      if (body.find("signal") != std::string::npos) {
        report.wait->signal = "go";
      } else {
        report.wait->pause = absl::Seconds(20);
      }
    }
    if (state_.step_of(node).kind == flowspec::StepKind::kFail) report.error = {"fail", "dice"};
    return report;
  }

  // An answer that was given before comes again, perhaps to a later attempt's time.
  void Repeat() {
    if (answers_.empty()) return;
    ReportAttempt report = answers_[random_.Below(answers_.size())];
    ++result_.duplicates;
    if (plant_ == Plant::kAcceptStale) {
      const NodeIndex node = FindNode(state_, report.path);
      if (node >= 0) report.attempt = state_.node(node).attempt;
      if (node >= 0 && state_.node(node).status == Status::kPending) return;
    }
    if (report.attempt != answers_.back().attempt) ++result_.late;
    const bool running = FindNode(state_, report.path) >= 0 &&
                         state_.node(FindNode(state_, report.path)).status == Status::kRunning;
    const bool taken = Send({"system", 0, report});
    // An attempt of the same number that never answered is possible only after a crash that lost
    // its first answer; anything else that is taken was taken twice.
    if (taken && (!running || answered_.contains({report.path, report.attempt}))) {
      Violation(absl::StrCat("a repeated answer for ", report.path, " was taken"));
    }
  }

  void FireEarly() {
    for (const Effect& effect : owed_) {
      const auto* wake = std::get_if<WakeAt>(&effect.what);
      if (wake == nullptr || now_ >= wake->at) continue;
      if (!PendingAt(state_, effect.order)) continue;  // of a run's earlier life
      ++result_.early_timers;
      if (Send({"system", 0, FireTimer{effect.path, wake->reason}})) {
        Violation(absl::StrCat("a timer of `", effect.path, "` fired early"));
      }
      return;
    }
  }

  // An attempt is asked to stop although nobody wishes it: executors may do that on their own.
  void StopNow() {
    for (size_t i = 0; i < owed_.size(); ++i) {
      const auto* run = std::get_if<RunAttempt>(&owed_[i].what);
      if (run == nullptr) continue;
      const AttemptKey key{owed_[i].path, run->attempt};
      owed_.erase(owed_.begin() + static_cast<ptrdiff_t>(i));
      return Answer(key, Outcome::kStopped);
    }
  }

  // The daemon dies. What was not synced never happened; what ran is dead, its outcome unknown.
  void Crash() {
    ++result_.crashes;
    unsynced_.clear();
    unsynced_letters_.clear();
    if (plant_ == Plant::kForgetSynced && log_.size() > 1) log_.pop_back();
    RunState state(plan_);
    for (const Event& event : log_) state = Evolve(std::move(state), event);
    RunState again(plan_);
    for (const Event& event : log_) again = Evolve(std::move(again), event);
    if (Dump(state) != Dump(again)) Violation("the same log gave two states");
    state_ = std::move(state);
    handed_out_ = state_.last_order;
    owed_.clear();
    for (const Effect& effect : Pending(state_)) {
      const auto* run = std::get_if<RunAttempt>(&effect.what);
      if (run == nullptr) {
        if (!std::holds_alternative<StopAttempt>(effect.what)) owed_.push_back(effect);
        continue;
      }
      unknown_.insert(effect.path);
      if (plant_ == Plant::kRerunUnknown) {
        Began({effect.path, run->attempt + 1});
        owed_.push_back(effect);
        continue;
      }
      ReportAttempt report{
          .path = effect.path, .attempt = run->attempt, .outcome = Outcome::kUnknown};
      Send({"system", 0, report});
    }
  }

  // Each fact as it reaches the disk.
  void Check(const Event& event) {
    if (event.seq != log_.size() + 1) Violation(absl::StrCat("a gap before event ", event.seq));
    if (const auto* finished = std::get_if<AttemptFinished>(&event.fact)) {
      if (!answered_.insert({finished->path, finished->attempt}).second) {
        Violation(absl::StrCat(finished->path, "#", finished->attempt, " has two outcomes"));
      }
      if (finished->outcome == Outcome::kUnknown) {
        unknown_.insert(finished->path);
      } else if (began_.contains({finished->path, finished->attempt}) &&
                 !given_.contains({finished->path, finished->attempt, finished->outcome})) {
        Violation(
            absl::StrCat(finished->path, "#", finished->attempt, " has an outcome nobody gave"));
      }
      if (IsTerminal(finished->step_status)) Ended(finished->path);
      if (finished->step_status == Status::kSucceeded) rules_.Succeeded(finished->path);
    } else if (const auto* skipped = std::get_if<StepSkipped>(&event.fact)) {
      Ended(skipped->path);
    } else if (const auto* cancelled = std::get_if<StepCancelled>(&event.fact)) {
      Ended(cancelled->path);
    } else if (const auto* step = std::get_if<StepFinished>(&event.fact)) {
      Ended(step->path);
      if (step->status == Status::kSucceeded) rules_.Succeeded(step->path);
    }
    rules_.Check(event);
    CheckAgain(event);
  }

  static bool IsAtOrBelow(const std::string& path, const std::string& above) {
    return path.compare(0, above.size(), above) == 0 &&
           (path.size() == above.size() || path[above.size()] == '/' || path[above.size()] == '[');
  }

  // What is at or below `path`, and what is above it, may end again; `anew`: and run again.
  void MayEndAgain(const std::string& path, bool anew) {
    std::erase_if(ended_, [&](const std::string& ended) {
      return IsAtOrBelow(ended, path) || IsAtOrBelow(path, ended);
    });
    std::erase_if(unknown_, [&](const std::string& p) { return IsAtOrBelow(p, path); });
    std::erase_if(succeeded_, [&](const std::string& p) {
      if (p == path || (anew && IsAtOrBelow(p, path))) return true;
      // An item that did not succeed begins anew, with all that is in it.
      const bool item = path.back() == ']' || p[std::min(p.size() - 1, path.size())] == '[';
      return item && IsAtOrBelow(p, path) && p.find('/', path.size()) != p.npos;
    });
  }

  // What has succeeded runs again only where somebody asked for it.
  void CheckAgain(const Event& event) {
    if (const auto* requeued = std::get_if<StepRequeued>(&event.fact)) {
      ++result_.requeued;
      MayEndAgain(requeued->path, requeued->anew);
    } else if (const auto* marked = std::get_if<StepMarked>(&event.fact)) {
      MayEndAgain(marked->path, false);
      Ended(marked->path);
      rules_.Succeeded(marked->path);
    } else if (const auto* rewound = std::get_if<StepsRewound>(&event.fact)) {
      for (const std::string& path : rewound->steps) MayEndAgain(path, true);
    } else if (std::holds_alternative<RunReopened>(event.fact)) {
      ++result_.reopened;
      for (const auto section : {flowspec::Section::kOnFailure, flowspec::Section::kFinally}) {
        for (const int32_t step : plan_->section(section)) MayEndAgain(plan_->step(step).id, true);
      }
    } else if (const auto* started = std::get_if<AttemptStarted>(&event.fact)) {
      if (succeeded_.contains(started->path)) {
        Violation(absl::StrCat(started->path, " runs again although it has succeeded"));
      }
    } else if (const auto* finished = std::get_if<AttemptFinished>(&event.fact)) {
      if (finished->step_status == Status::kSucceeded) succeeded_.insert(finished->path);
    }
  }

  // The list of dead letters says what the state says.
  void CheckLetters() {
    for (const auto& [path, parked] : letters_) {
      const NodeIndex index = FindNode(state_, path);
      const Status want = parked ? Status::kParked : Status::kFailed;
      if (index < 0 || state_.node(index).status != want) {
        Violation(absl::StrCat("the dead letter of ", path, " does not fit"));
      }
    }
    for (size_t i = 0; i < state_.nodes.size(); ++i) {
      if (state_.nodes[i].step < 0 || state_.nodes[i].status != Status::kParked) continue;
      const std::string path = PathOf(state_, static_cast<NodeIndex>(i));
      if (!letters_.contains(path)) Violation(absl::StrCat(path, " is parked without a letter"));
    }
    result_.letters += static_cast<int>(letters_.size());
  }

  // Nothing begins before its time, as the world's clock has it at the moment of the decision.
  void CheckTime(const Event& event) {
    if (const auto* retry = std::get_if<RetryScheduled>(&event.fact)) {
      retry_at_[{retry->path, retry->attempt}] = retry->at;
    } else if (const auto* started = std::get_if<AttemptStarted>(&event.fact)) {
      const auto at = retry_at_.find({started->path, started->attempt});
      if (at != retry_at_.end() && now_ < at->second) Violation("a retry began early");
    } else if (const auto* requeued = std::get_if<StepRequeued>(&event.fact)) {
      // Somebody does not want to wait for it, or it is long over.
      std::erase_if(retry_at_,
                    [&](const auto& at) { return IsAtOrBelow(at.first.first, requeued->path); });
    } else if (std::holds_alternative<RunReopened>(event.fact)) {
      retry_at_.clear();
    } else if (const auto* wait = std::get_if<WaitStarted>(&event.fact)) {
      wait_until_[wait->path] = wait->until;
    } else if (const auto* ended = std::get_if<WaitEnded>(&event.fact)) {
      if (ended->signal == 0 && now_ < wait_until_[ended->path]) Violation("a wait ended early");
    }
  }

  void Ended(const std::string& path) {
    if (!ended_.insert(path).second) Violation(absl::StrCat("step ", path, " ended twice"));
  }

  void CheckEnd() {
    if (!result_.violation.empty()) return;
    RunState state(plan_);
    for (const Event& event : log_) state = Evolve(std::move(state), event);
    if (Dump(state) != Dump(state_)) Violation("the log does not give the state");
    CheckLetters();
    if (RunStatusOf(state_) == Status::kWaiting) {
      ++result_.waiting;
    } else if (IsTerminal(state_.status)) {
      ++result_.finished;
      if (!Pending(state_).empty()) Violation("a finished run is still owed something");
      rules_.CheckEnd();
    } else {
      Violation(absl::StrCat("the run does not end:\n", Dump(state_)));
    }
  }

  Random random_;
  const Plant plant_;
  std::shared_ptr<const Plan> plan_;
  RunState state_;
  absl::Time now_ = TestStart();
  std::vector<Event> log_;       // on disk
  std::vector<Event> unsynced_;  // decided
  std::vector<Effect> owed_;     // handed out, not yet done
  uint64_t handed_out_ = 0;
  std::vector<ReportAttempt> answers_;
  // The model.
  std::set<AttemptKey> began_, answered_;
  std::set<std::tuple<std::string, int32_t, Outcome>> given_;
  std::set<std::string> unknown_, ended_, succeeded_;
  std::vector<DeadLetterChange> unsynced_letters_;
  std::map<std::string, bool> letters_;  // whether parked
  int returns_left_ = 3;
  std::map<AttemptKey, absl::Time> retry_at_;
  std::map<std::string, absl::Time> wait_until_;
  uint64_t signals_sent_ = 0, decisions_sent_ = 0, tasks_asked_ = 0;
  std::vector<DecideTask> decisions_;  // that were taken, perhaps not yet on disk
  SimulationResult result_;
  SimulationRules rules_{*plan_, ended_, result_};
};

}  // namespace

SimulationResult Simulate(uint64_t seed, Plant plant) { return World(seed, plant).Play(); }

}  // namespace beamline::run
