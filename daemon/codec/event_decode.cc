// Protobuf to facts. The bytes may be anything: every field that a fact needs is checked, and the
// message says which one is wrong.
#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "beamline/v1/event.pb.h"
#include "beamline/v1/stored.pb.h"
#include "daemon/codec/event_codec.h"

namespace beamline::codec {
namespace {

// Reads one message; the first thing that is wrong stays in `status()`, later reads go on with
// defaults.
class Reader {
 public:
  absl::Status status() const { return status_; }

  void Read(const v1::ExecutionEvent& from, run::Event* to) {
    run::Event& event = *to;
    event.seq = from.seq();
    if (event.seq == 0) Fail("seq is 0");
    if (!from.has_time()) Fail("it has no time");
    event.time = Time(from.time());
    event.actor = from.actor();
    event.fact = Fact(from);
  }

 private:
  void Fail(const std::string& what) {
    if (status_.ok()) status_ = absl::DataLossError(what);
  }
  // For an enum value of 0 or one that a later release added.
  void FailEnum(const char* field, int value) {
    Fail(absl::StrCat(field, " ", value, " is not known to this release"));
  }

  run::Fact Fact(const v1::ExecutionEvent& e) {
    switch (e.fact_case()) {
      case v1::ExecutionEvent::kRunStarted:
        return Get(e.run_started());
      case v1::ExecutionEvent::kForeachStarted:
        return Get(e.foreach_started());
      case v1::ExecutionEvent::kStepStarted:
        return run::StepStarted{Path(e.step_started().path())};
      case v1::ExecutionEvent::kAttemptStarted:
        return Get(e.attempt_started());
      case v1::ExecutionEvent::kAttemptFinished:
        return Get(e.attempt_finished());
      case v1::ExecutionEvent::kRetryScheduled:
        return Get(e.retry_scheduled());
      case v1::ExecutionEvent::kStepSkipped:
        return run::StepSkipped{Path(e.step_skipped().path()), e.step_skipped().reason()};
      case v1::ExecutionEvent::kStepCancelled:
        return run::StepCancelled{Path(e.step_cancelled().path()), e.step_cancelled().reason()};
      case v1::ExecutionEvent::kStepParked:
        return run::StepParked{Path(e.step_parked().path()), e.step_parked().reason()};
      case v1::ExecutionEvent::kStepFinished:
        return Get(e.step_finished());
      case v1::ExecutionEvent::kStopRequested:
        return Get(e.stop_requested());
      case v1::ExecutionEvent::kOutputsResolved:
        return Get(e.outputs_resolved());
      case v1::ExecutionEvent::kSectionStarted:
        return run::SectionStarted{Section(e.section_started().section())};
      case v1::ExecutionEvent::kRunFinished:
        return run::RunFinished{Status(e.run_finished().status()), Error(e.run_finished())};
      case v1::ExecutionEvent::kRunAdmitted:
        return run::RunAdmitted{};
      case v1::ExecutionEvent::kLoopDecided:
        return run::LoopDecided{Path(e.loop_decided().path()), e.loop_decided().round(),
                                e.loop_decided().again()};
      case v1::ExecutionEvent::kCacheHit:
        return Get(e.cache_hit());
      case v1::ExecutionEvent::kWaitStarted:
        return Get(e.wait_started());
      case v1::ExecutionEvent::kWaitEnded:
        return run::WaitEnded{Path(e.wait_ended().path()), e.wait_ended().signal()};
      case v1::ExecutionEvent::kSignalReceived:
        return Get(e.signal_received());
      case v1::ExecutionEvent::kStepHeld:
        return run::StepHeld{Path(e.step_held().path())};
      case v1::ExecutionEvent::kStepReleased:
        return run::StepReleased{Path(e.step_released().path())};
      default:
        return OperatorFact(e);
    }
  }

  // What people are asked.
  run::Fact TaskFact(const v1::ExecutionEvent& e) {
    switch (e.fact_case()) {
      case v1::ExecutionEvent::kTaskOpened:
        return Get(e.task_opened());
      case v1::ExecutionEvent::kTaskDecided:
        return Get(e.task_decided());
      case v1::ExecutionEvent::kTaskDelegated:
        return Get(e.task_delegated());
      case v1::ExecutionEvent::kTaskEscalated:
        return run::TaskEscalated{Path(e.task_escalated().path()),
                                  e.task_escalated().task(),
                                  Time(e.task_escalated().until()),
                                  {e.task_escalated().to().begin(), e.task_escalated().to().end()}};
      case v1::ExecutionEvent::kTaskClosed:
        return run::TaskClosed{Path(e.task_closed().path()), e.task_closed().task(),
                               TaskOutcome(e.task_closed().outcome()),
                               Value(e.task_closed().output())};
      case v1::ExecutionEvent::kStepsRewound:
        return Get(e.steps_rewound());
      default:
        break;
    }
    Fail("it holds no fact that this release knows");
    return run::RunFinished{};
  }

  // What people do to runs.
  run::Fact OperatorFact(const v1::ExecutionEvent& e) {
    switch (e.fact_case()) {
      case v1::ExecutionEvent::kIntervened:
        return run::Intervened{Verb(e.intervened().verb()), e.intervened().reason(),
                               e.intervened().request_id(), e.intervened().request_hash()};
      case v1::ExecutionEvent::kRunReopened:
        return run::RunReopened{Section(e.run_reopened().section())};
      case v1::ExecutionEvent::kStepRequeued:
        return run::StepRequeued{Path(e.step_requeued().path()), e.step_requeued().anew(),
                                 e.step_requeued().follows()};
      case v1::ExecutionEvent::kStepMarked:
        return run::StepMarked{Path(e.step_marked().path()), Value(e.step_marked().output()),
                               e.step_marked().reason()};
      case v1::ExecutionEvent::kRunPaused:
        return run::RunPaused{};
      case v1::ExecutionEvent::kRunResumed:
        return run::RunResumed{};
      case v1::ExecutionEvent::kLetterDropped:
        return run::LetterDropped{Path(e.letter_dropped().path())};
      case v1::ExecutionEvent::kInputsChanged:
        return run::InputsChanged{Value(e.inputs_changed().inputs())};
      case v1::ExecutionEvent::kStepReused:
        return Get(e.step_reused());
      default:
        return TaskFact(e);
    }
  }

  // What most runs do not have.
  void GetRare(const v1::RunStarted& m, run::RunStarted* f) {
    f->trigger = Value(m.trigger());
    f->llm_answers = Value(m.llm_answers());
    if (m.has_parent()) {
      const std::optional<run::RunId> id = run::RunId::Parse(m.parent().run_id());
      if (!id) Fail("the parent's run id is none");
      f->parent = {id.value_or(run::RunId()), m.parent().path(), m.parent().attempt(),
                   m.parent().depth()};
    }
    for (const v1::BundledFlow& file : m.files()) f->files.push_back({file.path(), file.digest()});
    f->flow_path = m.flow_path();
    f->break_at = {m.break_at().begin(), m.break_at().end()};
    f->only = m.only();
    f->concurrency_key = m.concurrency_key();
    f->queued = m.queued();
    if (m.has_replay_of()) {
      const std::optional<run::RunId> id = run::RunId::Parse(m.replay_of().run_id());
      if (!id) Fail("the replayed run's id is none");
      f->replay_of = {id.value_or(run::RunId()), m.replay_of().from()};
    }
  }

  run::StepReused Get(const v1::StepReused& m) {
    if (m.count() < 0) Fail("count is negative");
    run::StepReused f{Path(m.path()),   Status(m.status()), Value(m.output()),
                      Error(m),         m.reason(),         Artifacts(m.artifacts()),
                      Value(m.items()), Value(m.keys()),    m.count()};
    for (const v1::ReusedItem& item : m.done()) {
      if (item.index() < 0 || item.index() >= m.count()) Fail("an item is out of range");
      f.done.push_back({item.index(), Status(item.status()), Value(item.output()), Error(item),
                        Artifacts(item.artifacts())});
    }
    return f;
  }

  run::RunStarted Get(const v1::RunStarted& m) {
    run::RunStarted f;
    if (m.run_ulid().size() == f.run.bytes.size()) {
      std::copy(m.run_ulid().begin(), m.run_ulid().end(), f.run.bytes.begin());
    } else {
      Fail(absl::StrCat("run_ulid has ", m.run_ulid().size(), " bytes, not 16"));
    }
    f.tenant = m.tenant();
    f.project = m.project();
    f.flow_name = m.flow_name();
    f.flow_digest = m.flow_digest();
    f.inputs = Value(m.inputs());
    for (const v1::Label& label : m.labels()) f.labels.emplace_back(label.key(), label.value());
    f.trace_id = m.trace_id();
    f.workspace = m.workspace();
    f.request_id = m.request_id();
    f.request_hash = m.request_hash();
    GetRare(m, &f);
    return f;
  }

  run::ForeachStarted Get(const v1::ForeachStarted& m) {
    if (m.count() < 0) Fail("count is negative");
    return {Path(m.path()), Value(m.items()), Value(m.keys()), m.count()};
  }

  run::AttemptStarted Get(const v1::AttemptStarted& m) {
    return {Path(m.path()), Attempt(m.attempt()), Value(m.input()), m.idempotency_key(),
            m.cache_key(),  m.cache_miss(),       m.turn(),         Cost(m.most())};
  }

  static run::Cost Cost(const v1::Cost& m) { return {m.tokens(), m.nano_usd()}; }

  run::CacheHit Get(const v1::CacheHit& m) {
    run::CacheHit f{Path(m.path()),          m.key(),           m.from_run(),
                    m.from_path(),           Time(m.made_at()), Value(m.output()),
                    Artifacts(m.artifacts())};
    return f;
  }

  run::WaitStarted Get(const v1::WaitStarted& m) {
    return {Path(m.path()), m.has_until() ? Time(m.until()) : absl::InfiniteFuture(), m.signal(),
            m.match(), m.schema()};
  }

  run::TaskOpened Get(const v1::TaskOpened& m) {
    if (m.round() < 1) Fail(absl::StrCat("round is ", m.round()));
    return {.path = Path(m.path()),
            .task = m.task(),
            .round = m.round(),
            .max_rounds = m.max_rounds(),
            .title = m.title(),
            .show = Value(m.show()),
            .form = m.form(),
            .approvers = {m.approvers().begin(), m.approvers().end()},
            .quorum = m.quorum(),
            .self_approval = m.self_approval(),
            .initiator = m.initiator(),
            .until = m.has_until() ? Time(m.until()) : absl::InfiniteFuture(),
            .escalates = m.escalates(),
            .escalate_to = {m.escalate_to().begin(), m.escalate_to().end()},
            .digest = m.digest(),
            .rerun = m.rerun(),
            .previous = m.previous()};
  }

  run::TaskDecided Get(const v1::TaskDecided& m) {
    return {Path(m.path()),      m.task(),  m.round(),  Verdict(m.verdict()), m.comment(),
            Inline(m.payload()), m.shown(), m.digest(), m.approvals(),        m.voter(),
            m.request_id()};
  }

  run::TaskDelegated Get(const v1::TaskDelegated& m) {
    return {Path(m.path()), m.task(), m.voter(), m.to(), m.request_id()};
  }

  run::StepsRewound Get(const v1::StepsRewound& m) {
    run::StepsRewound f{.path = Path(m.path())};
    for (const std::string& step : m.steps()) f.steps.push_back(Path(step));
    f.tasks = {m.tasks().begin(), m.tasks().end()};
    f.round = m.round();
    f.comment = m.comment();
    f.by = m.by();
    return f;
  }

  run::SignalReceived Get(const v1::SignalReceived& m) {
    if (m.payload().has_blob()) Fail("a signal's payload is a blob");
    return {m.name(), Value(m.payload()), m.id()};
  }

  static run::ReportSummary Summary(const v1::ReportSummary& m) {
    run::ReportSummary s{m.tests(),
                         m.failures(),
                         m.errors(),
                         m.skipped(),
                         m.warnings(),
                         m.notes(),
                         absl::Milliseconds(m.time_ms()),
                         {},
                         m.problem()};
    for (const v1::ReportCase& c : m.cases()) {
      s.cases.push_back({c.name(), c.message(), c.file(), c.line()});
    }
    return s;
  }

  template <typename Messages>
  std::vector<run::ArtifactRef> Artifacts(const Messages& messages) {
    std::vector<run::ArtifactRef> artifacts;
    for (const v1::Artifact& a : messages) {
      artifacts.push_back(
          {a.name(), a.path(), Digest(a.sha256()), a.bytes(), a.report(), a.by_pattern(), {}});
      if (a.has_summary()) artifacts.back().summary = Summary(a.summary());
    }
    return artifacts;
  }

  run::AttemptFinished Get(const v1::AttemptFinished& m) {
    run::AttemptFinished f;
    f.path = Path(m.path());
    f.attempt = Attempt(m.attempt());
    f.outcome = Outcome(m.outcome());
    f.output = Value(m.output());
    f.error = Error(m);
    f.artifacts = Artifacts(m.artifacts());
    f.step_status = Status(m.step_status());
    f.cache_key = m.cache_key();
    f.child_run = m.child_run();
    if (m.has_cached_until()) f.cached_until = Time(m.cached_until());
    if (m.has_usage()) {
      const v1::Usage& u = m.usage();
      f.usage = {u.provider(),           u.model(),
                 u.request_id(),         u.requests(),
                 u.input_tokens(),       u.cache_read_tokens(),
                 u.cache_write_tokens(), u.output_tokens(),
                 u.reasoning_tokens(),   std::nullopt};
      if (u.has_nano_usd()) f.usage.nano_usd = u.nano_usd();
    }
    return f;
  }

  run::RetryScheduled Get(const v1::RetryScheduled& m) {
    if (!m.has_at()) Fail("the retry has no time");
    return {Path(m.path()), Attempt(m.attempt()), Time(m.at())};
  }

  run::StepFinished Get(const v1::StepFinished& m) {
    return {Path(m.path()), Status(m.status()), Value(m.output()), Error(m)};
  }

  // The path may be empty: the run.
  run::StopRequested Get(const v1::StopRequested& m) {
    return {m.path(), StopReason(m.reason()), m.message(), m.force()};
  }

  run::OutputsResolved Get(const v1::OutputsResolved& m) { return {Value(m.outputs()), Error(m)}; }

  std::string Path(const std::string& path) {
    if (path.empty()) Fail("a step's fact has no path");
    return path;
  }

  int32_t Attempt(int32_t attempt) {
    if (attempt < 1) Fail(absl::StrCat("attempt is ", attempt));
    return attempt;
  }

  absl::Time Time(const google::protobuf::Timestamp& t) {
    constexpr int64_t kMin = -62135596800, kMax = 253402300799;
    if (t.seconds() < kMin || t.seconds() > kMax || t.nanos() < 0 || t.nanos() > 999'999'999) {
      Fail("a time is out of range");
    }
    return absl::FromUnixSeconds(t.seconds()) + absl::Nanoseconds(t.nanos());
  }

  std::string Digest(const std::string& sha256) {
    bool hex = sha256.size() == 64;
    for (char c : sha256) hex = hex && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    if (!hex) Fail("a sha256 is not 64 lower-case hex digits");
    return sha256;
  }

  run::Value Value(const v1::Value& v) {
    switch (v.content_case()) {
      case v1::Value::kJson:
        return run::Value::Json(v.json());
      case v1::Value::kBlob:
        return run::Value::Blob(Digest(v.blob().sha256()), v.blob().bytes());
      case v1::Value::CONTENT_NOT_SET:
        break;
    }
    return run::Value();
  }

  template <typename Message>
  static run::Error Error(const Message& m) {
    if (!m.has_failure()) return {};
    const v1::Failure& f = m.failure();
    return {f.kind(), f.message(), f.has_exit_code() ? f.exit_code() : -1};
  }

  run::Status Status(v1::Status status) {
    switch (status) {
      case v1::STATUS_PENDING:
        return run::Status::kPending;
      case v1::STATUS_RUNNING:
        return run::Status::kRunning;
      case v1::STATUS_WAITING:
        return run::Status::kWaiting;
      case v1::STATUS_SUCCEEDED:
        return run::Status::kSucceeded;
      case v1::STATUS_FAILED:
        return run::Status::kFailed;
      case v1::STATUS_SKIPPED:
        return run::Status::kSkipped;
      case v1::STATUS_CANCELLED:
        return run::Status::kCancelled;
      case v1::STATUS_PARKED:
        return run::Status::kParked;
      default:
        break;
    }
    FailEnum("status", status);
    return run::Status::kPending;
  }

  run::Verb Verb(v1::Verb verb) {
    switch (verb) {
      case v1::VERB_RETRY:
        return run::Verb::kRetry;
      case v1::VERB_SKIP:
        return run::Verb::kSkip;
      case v1::VERB_DROP:
        return run::Verb::kDrop;
      case v1::VERB_PAUSE:
        return run::Verb::kPause;
      case v1::VERB_RESUME:
        return run::Verb::kResume;
      default:
        break;
    }
    FailEnum("verb", verb);
    return run::Verb::kRetry;
  }

  run::Outcome Outcome(v1::Outcome outcome) {
    switch (outcome) {
      case v1::OUTCOME_SUCCEEDED:
        return run::Outcome::kSucceeded;
      case v1::OUTCOME_FAILED:
        return run::Outcome::kFailed;
      case v1::OUTCOME_STOPPED:
        return run::Outcome::kStopped;
      case v1::OUTCOME_UNKNOWN:
        return run::Outcome::kUnknown;
      default:
        break;
    }
    FailEnum("outcome", outcome);
    return run::Outcome::kUnknown;
  }

  // Of what the core looks into.
  run::Value Inline(const v1::Value& v) {
    if (v.has_blob()) Fail("a value that must be inline is a blob");
    return v.has_blob() ? run::Value() : Value(v);
  }

  run::Verdict Verdict(v1::Verdict verdict) {
    switch (verdict) {
      case v1::VERDICT_APPROVE:
        return run::Verdict::kApprove;
      case v1::VERDICT_REJECT:
        return run::Verdict::kReject;
      case v1::VERDICT_REQUEST_CHANGES:
        return run::Verdict::kRequestChanges;
      case v1::VERDICT_RESPOND:
        return run::Verdict::kRespond;
      default:
        break;
    }
    FailEnum("verdict", verdict);
    return run::Verdict::kReject;
  }

  run::TaskOutcome TaskOutcome(v1::TaskOutcome outcome) {
    switch (outcome) {
      case v1::TASK_OUTCOME_APPROVED:
        return run::TaskOutcome::kApproved;
      case v1::TASK_OUTCOME_REJECTED:
        return run::TaskOutcome::kRejected;
      case v1::TASK_OUTCOME_EXPIRED:
        return run::TaskOutcome::kExpired;
      case v1::TASK_OUTCOME_CANCELLED:
        return run::TaskOutcome::kCancelled;
      default:
        break;
    }
    FailEnum("task outcome", outcome);
    return run::TaskOutcome::kCancelled;
  }

  run::StopReason StopReason(v1::StopReason reason) {
    switch (reason) {
      case v1::STOP_REASON_CANCEL:
        return run::StopReason::kCancel;
      case v1::STOP_REASON_TIMEOUT:
        return run::StopReason::kTimeout;
      case v1::STOP_REASON_DEADLINE:
        return run::StopReason::kDeadline;
      default:
        break;
    }
    FailEnum("stop reason", reason);
    return run::StopReason::kCancel;
  }

  flowspec::Section Section(v1::Section section) {
    switch (section) {
      case v1::SECTION_MAIN:
        return flowspec::Section::kMain;
      case v1::SECTION_ON_FAILURE:
        return flowspec::Section::kOnFailure;
      case v1::SECTION_FINALLY:
        return flowspec::Section::kFinally;
      case v1::SECTION_COMPENSATE:
        return flowspec::Section::kCompensate;
      default:
        break;
    }
    FailEnum("section", section);
    return flowspec::Section::kMain;
  }

  absl::Status status_;
};

absl::Status ReadEvent(const v1::ExecutionEvent& wire, run::Event* event) {
  Reader reader;
  reader.Read(wire, event);
  if (reader.status().ok()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("event ", wire.seq(), ": ", reader.status().message()));
}

}  // namespace

absl::StatusOr<run::Event> FromWire(const v1::ExecutionEvent& wire) {
  run::Event event;
  if (absl::Status s = ReadEvent(wire, &event); !s.ok()) return s;
  return event;
}

absl::StatusOr<std::vector<run::Event>> DecodeEvents(std::string_view bytes) {
  std::vector<run::Event> events;
  if (absl::Status s = DecodeEvents(bytes, &events); !s.ok()) return s;
  return events;
}

absl::Status DecodeEvents(std::string_view bytes, std::vector<run::Event>* events) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::DataLossError("events of over 2 GiB");
  }
  alignas(8) char block[4096];
  google::protobuf::ArenaOptions options;
  options.initial_block = block;
  options.initial_block_size = sizeof(block);
  google::protobuf::Arena arena(options);
  auto* stored = google::protobuf::Arena::CreateMessage<v1::StoredEvents>(&arena);
  if (!stored->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat(bytes.size(), " bytes that are not stored events"));
  }
  for (const v1::ExecutionEvent& wire : stored->events()) {
    if (absl::Status s = ReadEvent(wire, &events->emplace_back()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace beamline::codec
