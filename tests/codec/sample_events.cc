// Show() is written by hand, apart from the codec that it helps to test.
#include "sample_events.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace beamline::codec {
namespace {

const std::string kDigest = std::string(32, 'a') + std::string(32, '7');

std::string Text(const std::string& text) { return "'" + absl::CHexEscape(text) + "'"; }
std::string Text(const run::Value& v) {
  if (v.absent()) return "-";
  if (v.is_blob()) return absl::StrCat("blob(", v.sha256(), ",", v.bytes(), ")");
  return Text(v.json());
}
std::string Text(const run::Error& e) {
  return absl::StrCat("error(", Text(e.kind), ",", Text(e.message), ",", e.exit_code, ")");
}
std::string Text(absl::Time time) { return absl::FormatTime(time, absl::UTCTimeZone()); }
std::string Text(int32_t number) { return absl::StrCat(number); }
std::string Text(run::Status s) { return run::StatusName(s); }
std::string Text(run::Outcome o) { return run::OutcomeName(o); }
std::string Text(run::StopReason r) { return run::StopReasonName(r); }
std::string Text(flowspec::Section s) { return absl::StrCat("section", static_cast<int>(s)); }
std::string Text(const run::ReportSummary& s) {
  std::string text = absl::StrJoin({s.tests, s.failures, s.errors, s.skipped, s.warnings, s.notes,
                                    absl::ToInt64Milliseconds(s.time)},
                                   ",");
  for (const run::ReportCase& c : s.cases) {
    absl::StrAppend(&text, ",case(", Text(c.name), ",", Text(c.message), ",", Text(c.file), ",",
                    c.line, ")");
  }
  return absl::StrCat(",report(", text, ",", Text(s.problem), ")");
}
std::string Text(const run::ArtifactRef& a) {
  return absl::StrCat("artifact(", Text(a.name), ",", Text(a.path), ",", a.sha256, ",", a.bytes,
                      ",", a.report, ",", a.by_pattern, a.summary ? Text(*a.summary) : "", ")");
}

template <typename... Fields>
std::string Line(const Fields&... fields) {
  return absl::StrJoin({Text(fields)...}, " ");
}

struct Shower {
  std::string operator()(const run::RunStarted& f) const {
    std::string line = Line(f.run.ToString(), f.tenant, f.project, f.flow_name, f.flow_digest,
                            f.inputs, f.trace_id, f.workspace, f.request_id, f.request_hash);
    for (const auto& [key, value] : f.labels) absl::StrAppend(&line, " ", key, "=", value);
    return line;
  }
  std::string operator()(const run::ForeachStarted& f) const {
    return Line(f.path, f.items, f.keys, f.count);
  }
  std::string operator()(const run::StepStarted& f) const { return Line(f.path); }
  std::string operator()(const run::AttemptStarted& f) const {
    return Line(f.path, f.attempt, f.input, f.idempotency_key);
  }
  std::string operator()(const run::AttemptFinished& f) const {
    std::string line = Line(f.path, f.attempt, f.outcome, f.output, f.error, f.step_status);
    for (const run::ArtifactRef& a : f.artifacts) absl::StrAppend(&line, " ", Text(a));
    const run::Usage& u = f.usage;
    if (u != run::Usage()) {
      absl::StrAppend(
          &line, " ",
          Line(u.provider, u.model, u.request_id, u.requests, u.input_tokens, u.cache_read_tokens,
               u.cache_write_tokens, u.output_tokens, u.reasoning_tokens));
    }
    if (!f.child_run.empty()) absl::StrAppend(&line, " ", Text(f.child_run));
    return line;
  }
  std::string operator()(const run::RetryScheduled& f) const {
    return Line(f.path, f.attempt, f.at);
  }
  std::string operator()(const run::StepSkipped& f) const { return Line(f.path, f.reason); }
  std::string operator()(const run::StepCancelled& f) const { return Line(f.path, f.reason); }
  std::string operator()(const run::StepParked& f) const { return Line(f.path, f.reason); }
  std::string operator()(const run::StepFinished& f) const {
    return Line(f.path, f.status, f.output, f.error);
  }
  std::string operator()(const run::StopRequested& f) const {
    return Line(f.path, f.reason, f.message, static_cast<int32_t>(f.force));
  }
  std::string operator()(const run::OutputsResolved& f) const { return Line(f.outputs, f.error); }
  std::string operator()(const run::SectionStarted& f) const { return Line(f.section); }
  std::string operator()(const run::RunFinished& f) const { return Line(f.status, f.error); }
  std::string operator()(const run::RunAdmitted&) const { return ""; }
  std::string operator()(const run::LoopDecided& f) const {
    return Line(f.path, f.round, static_cast<int32_t>(f.again));
  }
  std::string operator()(const run::CacheHit& f) const {
    std::string line = Line(f.path, f.key, f.from_run, f.from_path, f.made_at, f.output);
    for (const run::ArtifactRef& a : f.artifacts) absl::StrAppend(&line, " ", Text(a));
    return line;
  }
  std::string operator()(const run::WaitStarted& f) const {
    return Line(f.path, f.until, f.signal, f.match, f.schema);
  }
  std::string operator()(const run::WaitEnded& f) const {
    return Line(f.path, static_cast<int64_t>(f.signal));
  }
  std::string operator()(const run::SignalReceived& f) const {
    return Line(f.name, f.payload, f.id);
  }
  std::string operator()(const run::StepHeld& f) const { return Line(f.path); }
  std::string operator()(const run::StepReleased& f) const { return Line(f.path); }
  std::string operator()(const run::Intervened& f) const {
    return Line(std::string(run::VerbName(f.verb)), f.reason, f.request_id, f.request_hash);
  }
  std::string operator()(const run::RunReopened& f) const { return Line(f.section); }
  std::string operator()(const run::StepRequeued& f) const {
    return Line(f.path, static_cast<int32_t>(f.anew), static_cast<int32_t>(f.follows));
  }
  std::string operator()(const run::StepMarked& f) const {
    return Line(f.path, f.output, f.reason);
  }
  std::string operator()(const run::RunPaused&) const { return ""; }
  std::string operator()(const run::RunResumed&) const { return ""; }
  std::string operator()(const run::LetterDropped& f) const { return Line(f.path); }
  std::string operator()(const run::InputsChanged& f) const { return Line(f.inputs); }
  std::string operator()(const run::StepReused& f) const {
    std::string line =
        Line(f.path, f.status, f.output, f.error, f.reason, f.items, f.keys, f.count);
    for (const run::ArtifactRef& a : f.artifacts) absl::StrAppend(&line, " ", Text(a));
    for (const run::ReusedItem& item : f.done) {
      absl::StrAppend(&line, " [", Line(item.index, item.status, item.output, item.error), "]");
    }
    return line;
  }
  std::string operator()(const run::TaskOpened& f) const {
    std::string line = Line(f.path, static_cast<int64_t>(f.task), f.round, f.max_rounds, f.title,
                            f.show, f.form, f.quorum, static_cast<int32_t>(f.self_approval),
                            f.initiator, f.until, static_cast<int32_t>(f.escalates), f.digest,
                            f.rerun, static_cast<int64_t>(f.previous));
    return absl::StrCat(line, " ", absl::StrJoin(f.approvers, ","), " ",
                        absl::StrJoin(f.escalate_to, ","));
  }
  std::string operator()(const run::TaskDecided& f) const {
    return Line(f.path, static_cast<int64_t>(f.task), f.round, static_cast<int32_t>(f.verdict),
                f.comment, f.payload, f.shown, f.digest, f.approvals, f.voter, f.request_id);
  }
  std::string operator()(const run::TaskDelegated& f) const {
    return Line(f.path, static_cast<int64_t>(f.task), f.voter, f.to, f.request_id);
  }
  std::string operator()(const run::TaskEscalated& f) const {
    return absl::StrCat(Line(f.path, static_cast<int64_t>(f.task), f.until), " ",
                        absl::StrJoin(f.to, ","));
  }
  std::string operator()(const run::TaskClosed& f) const {
    return Line(f.path, static_cast<int64_t>(f.task), std::string(run::TaskOutcomeName(f.outcome)),
                f.output);
  }
  std::string operator()(const run::StepsRewound& f) const {
    return absl::StrCat(Line(f.path, f.round, f.comment, f.by), " ", absl::StrJoin(f.steps, ","),
                        " ", absl::StrJoin(f.tasks, ","));
  }
};

run::RunStarted SampleStart() {
  run::RunStarted f;
  f.run = *run::RunId::Parse("01jd4q8zj0000000000000000f");
  f.tenant = "local";
  f.project = "default";
  f.flow_name = "release";
  f.flow_digest = kDigest;
  f.inputs = run::Value::Json(R"({"version":"1.2.3","notes":"über"})");
  f.labels = {{"team", "core"}, {"env", "prod"}};
  f.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  f.workspace = "/home/ada/project";
  f.request_id = "req-1";
  f.request_hash = "9f86d081";
  return f;
}

run::AttemptFinished SampleFinish() {
  run::AttemptFinished f;
  f.path = "enrich[17]/load";
  f.attempt = 2;
  f.outcome = run::Outcome::kFailed;
  f.output = run::Value::Blob(kDigest, 70'000);
  f.error = {"exit", "exit status 7", 7};
  run::ReportSummary summary{
      43, 1, 2, 3, 0, 0, absl::Milliseconds(1750), {{"math.add", "expected 3", "m.py", 17}}, ""};
  f.artifacts = {{"report", "build/junit.xml", kDigest, 1234, "junit", true, std::move(summary)}};
  f.child_run = "01jjxqs8000000000000k3v9qz";
  f.step_status = run::Status::kRunning;
  f.usage = {"anthropic", "claude-sonnet", "req_7", 2, 1200, 1000, 50, 340, 128};
  return f;
}

}  // namespace

std::vector<run::Event> SampleEvents() {
  const absl::Time at = absl::FromUnixNanos(1'732'400'000'123'456'789);
  const run::Error error{"timeout", "no answer within 5s", -1};
  const run::Value value = run::Value::Json(R"({"n":9007199254740993})");
  const std::vector<run::Fact> facts = {
      SampleStart(),
      run::ForeachStarted{"enrich", run::Value::Json("[1,2]"), run::Value::Json(R"(["a","b"])"), 2},
      run::StepStarted{"enrich[17]"},
      run::AttemptStarted{"enrich[17]/load", 1, value, "01jd4q8zj0/enrich[17]/load"},
      SampleFinish(),
      run::RetryScheduled{"enrich[17]/load", 3, at + absl::Seconds(2)},
      run::StepSkipped{"notify", "`if` is false"},
      run::StepCancelled{"publish", "the run was cancelled"},
      run::StepParked{"charge", "the outcome is unknown"},
      run::StepFinished{"enrich", run::Status::kFailed, value, error},
      run::StopRequested{"build", run::StopReason::kDeadline, "too slow", true},
      run::OutputsResolved{value, error},
      run::SectionStarted{flowspec::Section::kOnFailure},
      run::RunFinished{run::Status::kCancelled, error},
      run::RunAdmitted{},
      run::LoopDecided{"draft", 1, true},
      run::CacheHit{"build", "ci/build/k", "01jd4q8zj0", "build", at, value,
                    SampleFinish().artifacts},
      run::WaitStarted{"paid", at + absl::Minutes(9), "paid", R"({"order":7})",
                       R"({"type":"object"})"},
      run::WaitEnded{"paid", 12},
      run::SignalReceived{"paid", value, "id-7"},
      run::StepHeld{"ship"},
      run::StepReleased{"ship"},
      run::Intervened{run::Verb::kSkip, "paid by hand", "req-9", "9f86d081"},
      run::RunReopened{flowspec::Section::kMain},
      run::StepRequeued{"build", true, true},
      run::StepMarked{"charge", value, "paid by hand"},
      run::RunPaused{},
      run::RunResumed{},
      run::LetterDropped{"charge"},
      run::InputsChanged{value},
      run::StepReused{"enrich",
                      run::Status::kFailed,
                      value,
                      error,
                      "tolerated",
                      SampleFinish().artifacts,
                      run::Value::Json("[1,2]"),
                      run::Value::Json(R"(["a","b"])"),
                      2,
                      {{0, run::Status::kSucceeded, value, {}, {}},
                       {1, run::Status::kFailed, {}, error, SampleFinish().artifacts}}},
      run::TaskOpened{.path = "review",
                      .task = 31,
                      .round = 2,
                      .max_rounds = 3,
                      .title = "Publish?",
                      .show = value,
                      .form = R"({"type":"object"})",
                      .approvers = {"user:ada", "group:editors"},
                      .quorum = 2,
                      .self_approval = true,
                      .initiator = "uid:1000",
                      .until = at + absl::Hours(48),
                      .escalates = true,
                      .escalate_to = {"group:leads"},
                      .digest = kDigest,
                      .rerun = "draft",
                      .previous = 7},
      run::TaskDecided{"review", 31, 2, run::Verdict::kRespond, "fine", value, kDigest, "9f86d081",
                       1, "ada", "req-9"},
      run::TaskDelegated{"review", 31, "grace", "user:bob", "req-10"},
      run::TaskEscalated{"review", 31, at + absl::Hours(96), {"group:leads"}},
      run::TaskClosed{"review", 31, run::TaskOutcome::kApproved, value},
      run::StepsRewound{"review", {"draft", "review"}, {31, 32}, 2, "cite a source", "ada"},
  };
  std::vector<run::Event> events;
  for (const run::Fact& fact : facts) {
    events.push_back({events.size() + 1, at + absl::Milliseconds(events.size()), "uid:1000", fact});
  }
  return events;
}

std::string Show(const run::Event& e) {
  return absl::StrCat(e.seq, " ", Text(e.time), " ", e.actor, " ", run::FactName(e.fact), " ",
                      std::visit(Shower{}, e.fact));
}

}  // namespace beamline::codec
