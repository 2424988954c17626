// Histories as text: tests/run/*.txt, each a flow and what happens to a run of it. After a change
// that is meant, `BEAMLINE_REWRITE=1 run_transcripts` writes them anew; then read the diff.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/run/decide.h"
#include "daemon/run/evolve.h"
#include "daemon/run/pending.h"
#include "flowspec/parse.h"
#include "tests/run/describe.h"

namespace beamline::run {
namespace {

// "report build#1 failed exit" → command with words; `key=value` words become options.
struct Line {
  std::string verb, path, outcome, option_key, option_value, error;
  std::map<std::string, std::string> options;  // all of them
  int32_t attempt = 0;

  std::string Option(const std::string& key, const std::string& otherwise = "") const {
    const auto found = options.find(key);
    return found == options.end() ? otherwise : found->second;
  }
};

Line ParseLine(const std::string& text) {
  Line line;
  for (const std::string& word :
       std::vector<std::string>(absl::StrSplit(text, ' ', absl::SkipEmpty()))) {
    const size_t equals = word.find('=');
    if (line.verb.empty()) {
      line.verb = word;
    } else if (equals != std::string::npos) {
      line.option_key = word.substr(0, equals);
      line.option_value = word.substr(equals + 1);
      line.options[line.option_key] = line.option_value;
    } else if (line.path.empty()) {
      const size_t hash = word.find('#');
      line.path = word.substr(0, hash);
      if (hash != std::string::npos)
        REQUIRE(absl::SimpleAtoi(word.substr(hash + 1), &line.attempt));
    } else if (line.outcome.empty()) {
      line.outcome = word;
    } else {
      line.error = word;
    }
  }
  return line;
}

class Player {
 public:
  std::string Play(const std::string& text) {
    const size_t newline = text.find('\n');
    const Line line = ParseLine(text.substr(0, newline));
    if (line.verb == "flow") return Load(text.substr(newline + 1));
    if (line.verb == "wait") {
      absl::Duration duration;
      REQUIRE(absl::ParseDuration(line.path, &duration));
      now_ += duration;
      return "";
    }
    if (line.verb == "restart") return Restart();
    return Send(line);
  }

 private:
  std::string Load(const std::string& yaml) {
    flowspec::ParseResult parsed = flowspec::ParseFlow(yaml, {.compile_expressions = false});
    for (const auto& finding : parsed.findings) MESSAGE(finding.code, " ", finding.message);
    REQUIRE(parsed.flow != nullptr);
    state_.emplace(MakePlan(parsed.flow));
    log_.clear();
    return "";
  }

  // Folds the log anew, as a daemon does that starts again.
  std::string Restart() {
    RunState state(state_->plan);
    for (const Event& event : log_) state = Evolve(std::move(state), event);
    CHECK(Dump(state) == Dump(*state_));
    state_ = std::move(state);
    return Owed();
  }

  // "100:2.5" is 100 tokens and 2.5 dollars.
  static Cost CostOf(const std::string& text) {
    Cost cost;
    double usd = 0;
    const std::vector<std::string> parts = absl::StrSplit(text, ':');
    REQUIRE(absl::SimpleAtoi(parts.at(0), &cost.tokens));
    REQUIRE(absl::SimpleAtod(parts.at(1), &usd));
    cost.nano_usd = static_cast<int64_t>(usd * 1e9);
    return cost;
  }

  beamline::run::Wish Wish(const Line& line) {
    if (line.verb == "start") {
      StartRun wish;
      wish.start.flow_name = state_->plan->flow->name;
      if (line.option_key == "break_at") wish.start.break_at = {line.option_value};
      if (line.option_key == "only") wish.start.only = line.option_value;
      wish.start.queued = line.option_key == "queued";
      return wish;
    }
    if (line.verb == "signal") {
      return SendSignal{line.path, Value::Json(line.option_value), line.outcome};
    }
    if (line.verb == "decide") return Decision(line);
    if (line.verb == "delegate") {
      return DelegateTask{line.path, Number(line), "user:" + line.outcome, "", VoterOf(line)};
    }
    if (line.verb == "admit") return AdmitRun{};
    if (std::optional<beamline::run::Wish> wish = OperatorWish(line)) return *wish;
    if (line.verb == "release") return ReleaseStep{{}, line.path};
    if (line.verb == "cancel") return CancelRun{"no longer wanted", line.path == "force"};
    if (line.verb == "fire") {
      return FireTimer{line.path == "run" ? "" : line.path,
                       line.outcome == "deadline" ? StopReason::kDeadline : StopReason::kTimeout};
    }
    if (line.verb == "resolve" || line.verb == "leave" || line.verb == "round") {
      return Resolution(line);
    }
    REQUIRE(line.verb == "report");
    ReportAttempt report{.path = line.path, .attempt = line.attempt};
    if (line.option_key == "used") {
      const Cost used = CostOf(line.option_value);
      report.usage = {.requests = 1, .output_tokens = used.tokens, .nano_usd = used.nano_usd};
    }
    if (line.outcome == "failed") {
      report.outcome = Outcome::kFailed;
      const std::string kind = line.error.empty() ? "exit" : line.error;
      report.error = {kind, "it broke", kind == "exit" ? 1 : -1};
    } else if (line.outcome == "stopped") {
      report.outcome = Outcome::kStopped;
    } else if (line.outcome == "unknown") {
      report.outcome = Outcome::kUnknown;
    } else {
      REQUIRE(line.outcome == "succeeded");
      report.output = Value::Json(line.option_key == "output" ? line.option_value : "null");
    }
    return report;
  }

  // "retry", "retry build downstream", "skip pay output=1", "drop pay", "pause", "resume"; an
  // option `request=ID` names the request.
  static std::optional<beamline::run::Wish> OperatorWish(const Line& line) {
    const bool request = line.option_key == "request";
    const Intervention why{"", request ? line.option_value : "", line.path};
    if (line.verb == "retry") {
      RetryStep wish{why, line.path == "all" ? "" : line.path, line.outcome == "downstream",
                     line.outcome == "items"};
      if (line.option_key == "inputs") wish.inputs = Value::Json(line.option_value);
      return wish;
    }
    if (line.verb == "skip") {
      return SkipStep{why, line.path,
                      Value::Json(line.option_key == "output" ? line.option_value : "null")};
    }
    if (line.verb == "drop") return DropStep{why, line.path};
    if (line.verb == "pause") return PauseRun{why};
    if (line.verb == "resume") return ResumePaused{why};
    return std::nullopt;
  }

  static Voter VoterOf(const Line& line) {
    const std::string by = line.Option("by");
    Voter voter{by, {"user:" + by}};
    if (const std::string group = line.Option("group"); !group.empty()) {
      voter.may_as.push_back("group:" + group);
    }
    return voter;
  }

  const Task* TaskOf(const std::string& path) const {
    const auto task = state_->tasks.find(FindNode(*state_, path));
    return task == state_->tasks.end() ? nullptr : &task->second;
  }

  // The number of the task that the step asks, or asked last.
  uint64_t Number(const Line& line) {
    if (const Task* task = TaskOf(line.path)) numbers_[line.path] = task->asked.task;
    return numbers_[line.path];
  }

  // "decide review approve by=ada": of what stands now, unless `seen` says otherwise.
  DecideTask Decision(const Line& line) {
    DecideTask wish{.path = line.path, .task = Number(line), .voter = VoterOf(line)};
    static const std::map<std::string, Verdict> kVerdicts = {
        {"approve", Verdict::kApprove},
        {"reject", Verdict::kReject},
        {"request-changes", Verdict::kRequestChanges},
        {"respond", Verdict::kRespond}};
    wish.verdict = kVerdicts.at(line.outcome);
    wish.digest = line.Option("seen", TaskOf(line.path) ? TaskOf(line.path)->digest : "");
    wish.comment = line.Option("comment");
    wish.request_id = line.Option("id");
    wish.allow_self = line.Option("allow_self") == "true";
    if (line.options.contains("round")) {
      REQUIRE(absl::SimpleAtoi(line.Option("round"), &wish.round));
    }
    if (line.options.contains("payload")) wish.payload = Value::Json(line.Option("payload"));
    return wish;
  }

  // "resolve review ask=Ship? quorum=2 approvers=user:ada,group:editors timeout=1h rerun=draft"
  Ask AskOf(const Line& line) {
    Ask ask{.task = ++tasks_};
    ask.asked.title = line.Option("ask");
    ask.asked.show = Value::Json(line.Option("show", "null"));
    ask.asked.form = line.Option("form");
    ask.asked.digest = "seen-" + line.Option("show", "null");
    ask.asked.self_approval = line.Option("self_approval") == "true";
    REQUIRE(absl::SimpleAtoi(line.Option("quorum", "1"), &ask.asked.quorum));
    REQUIRE(absl::ParseDuration(line.Option("timeout", "inf"), &ask.timeout));
    if (line.options.contains("approvers")) {
      ask.asked.approvers = absl::StrSplit(line.Option("approvers"), ',');
    }
    if (line.options.contains("escalate_to")) {
      ask.asked.escalates = true;
      ask.asked.escalate_to = {line.Option("escalate_to")};
    }
    if (line.options.contains("rerun")) {
      ask.asked.rerun = line.Option("rerun");
      REQUIRE(absl::SimpleAtoi(line.Option("max_rounds", "3"), &ask.asked.max_rounds));
    }
    return ask;
  }

  ReportResolution Resolution(const Line& line) {
    ReportResolution report{.path = line.path == "run" ? "" : line.path, .attempt = line.attempt};
    if (line.verb == "leave") report.phase = ReportResolution::Phase::kLeave;
    if (line.verb == "round") report.phase = ReportResolution::Phase::kRound;
    if (line.option_key == "again") report.condition = line.option_value == "true";
    if (line.option_key == "rounds") {
      REQUIRE(absl::SimpleAtoi(line.option_value, &report.count));
    }
    if (line.option_key == "signal") {
      report.wait = Wait{.signal = line.option_value, .match = line.outcome};
    }
    if (line.option_key == "for") {
      absl::Duration pause;
      REQUIRE(absl::ParseDuration(line.option_value, &pause));
      report.wait = Wait{.pause = pause};
    }
    if (line.options.contains("ask")) report.ask = AskOf(line);
    if (line.option_key == "hit") {
      report.hit = CacheHit{.path = line.path, .key = "k", .from_run = "r", .from_path = "p"};
      report.hit->output = Value::Json(line.option_value);
    }
    if (line.option_key == "if") report.condition = line.option_value == "true";
    if (line.option_key == "items") {
      REQUIRE(absl::SimpleAtoi(line.option_value, &report.count));
      report.items = Value::Json("[]");
    }
    if (line.option_key == "most") report.most = CostOf(line.option_value);
    if (line.option_key == "unpriced") report.unpriced = line.option_value;
    if (line.option_key == "output") report.output = Value::Json(line.option_value);
    if (line.option_key == "error")
      report.error = {line.option_value, "it does not come to a value"};
    return report;
  }

  std::string Send(const Line& line) {
    auto events = Advance(*state_, {"uid:1", 1, Wish(line)}, now_);
    if (!events.ok())
      return absl::StrCat("refused: ", std::string(events.status().message()), "\n");
    std::string out;
    for (const Event& event : *events) {
      absl::StrAppend(&out, Describe(event), "\n");
      log_.push_back(event);
    }
    return out + Owed();
  }

  std::string Owed() {
    std::string out;
    for (const Effect& effect : Pending(*state_)) {
      absl::StrAppend(&out, "pending: ", Describe(effect), "\n");
    }
    if (RunStatusOf(*state_) == Status::kWaiting) out += "the run is waiting\n";
    if (RunStatusOf(*state_) == Status::kPaused) out += "the run is paused\n";
    return out;
  }

  std::optional<RunState> state_;
  uint64_t tasks_ = 0;
  std::map<std::string, uint64_t> numbers_;  // of tasks, by path
  std::vector<Event> log_;
  absl::Time now_ = TestStart();
};

// A transcript is a sequence of: input lines, "----", output lines, an empty line.
std::string Replay(const std::string& transcript) {
  std::istringstream in(transcript);
  std::string out, line, input, comment;
  Player player;
  while (std::getline(in, line)) {
    if (input.empty() && (line.empty() || line[0] == '#')) {
      out += line + "\n";
      continue;
    }
    if (line != "----") {
      input += line + "\n";
      continue;
    }
    while (std::getline(in, line) && !line.empty()) {
    }
    absl::StrAppend(&out, input, "----\n", player.Play(input), "\n");
    input.clear();
  }
  return out;
}

}  // namespace

TEST_CASE("transcripts") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TRANSCRIPTS)) {
    if (entry.path().extension() != ".txt" || entry.path().filename() == "CMakeLists.txt") continue;
    ++files;
    CAPTURE(entry.path().filename().string());
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::string replayed = Replay(text.str());
    if (std::getenv("BEAMLINE_REWRITE") != nullptr) {
      std::ofstream(entry.path()) << replayed;
    } else {
      CHECK(replayed == text.str());
    }
  }
  CHECK(files >= 8);
}

}  // namespace beamline::run
