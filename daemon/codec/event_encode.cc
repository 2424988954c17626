// Facts to protobuf. On the hot path of every step: messages live on an arena that starts on the
// stack, and texts are looked at once before protobuf takes them.
#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "beamline/v1/event.pb.h"
#include "beamline/v1/stored.pb.h"
#include "daemon/codec/event_codec.h"
#include "daemon/codec/span_id.h"
#include "daemon/codec/utf8.h"

namespace beamline::codec {
namespace {

void SetText(const std::string& from, std::string* to) {
  if (IsUtf8(from)) {
    *to = from;
  } else {
    *to = ToUtf8(from);
  }
}

v1::Status ToProto(run::Status status) {
  switch (status) {
    case run::Status::kPending:
      return v1::STATUS_PENDING;
    case run::Status::kRunning:
      return v1::STATUS_RUNNING;
    case run::Status::kWaiting:
      return v1::STATUS_WAITING;
    case run::Status::kSucceeded:
      return v1::STATUS_SUCCEEDED;
    case run::Status::kFailed:
      return v1::STATUS_FAILED;
    case run::Status::kSkipped:
      return v1::STATUS_SKIPPED;
    case run::Status::kCancelled:
      return v1::STATUS_CANCELLED;
    case run::Status::kParked:
      return v1::STATUS_PARKED;
    case run::Status::kPaused:
      return v1::STATUS_PAUSED;
  }
  return v1::STATUS_UNSPECIFIED;
}

v1::Verb ToProto(run::Verb verb) {
  switch (verb) {
    case run::Verb::kRetry:
      return v1::VERB_RETRY;
    case run::Verb::kSkip:
      return v1::VERB_SKIP;
    case run::Verb::kDrop:
      return v1::VERB_DROP;
    case run::Verb::kPause:
      return v1::VERB_PAUSE;
    case run::Verb::kResume:
      return v1::VERB_RESUME;
  }
  return v1::VERB_UNSPECIFIED;
}

v1::Verdict ToProto(run::Verdict verdict) {
  switch (verdict) {
    case run::Verdict::kApprove:
      return v1::VERDICT_APPROVE;
    case run::Verdict::kReject:
      return v1::VERDICT_REJECT;
    case run::Verdict::kRequestChanges:
      return v1::VERDICT_REQUEST_CHANGES;
    case run::Verdict::kRespond:
      return v1::VERDICT_RESPOND;
  }
  return v1::VERDICT_UNSPECIFIED;
}

v1::TaskOutcome ToProto(run::TaskOutcome outcome) {
  switch (outcome) {
    case run::TaskOutcome::kApproved:
      return v1::TASK_OUTCOME_APPROVED;
    case run::TaskOutcome::kRejected:
      return v1::TASK_OUTCOME_REJECTED;
    case run::TaskOutcome::kExpired:
      return v1::TASK_OUTCOME_EXPIRED;
    case run::TaskOutcome::kCancelled:
      return v1::TASK_OUTCOME_CANCELLED;
  }
  return v1::TASK_OUTCOME_UNSPECIFIED;
}

v1::Outcome ToProto(run::Outcome outcome) {
  switch (outcome) {
    case run::Outcome::kSucceeded:
      return v1::OUTCOME_SUCCEEDED;
    case run::Outcome::kFailed:
      return v1::OUTCOME_FAILED;
    case run::Outcome::kStopped:
      return v1::OUTCOME_STOPPED;
    case run::Outcome::kUnknown:
      return v1::OUTCOME_UNKNOWN;
  }
  return v1::OUTCOME_UNSPECIFIED;
}

v1::StopReason ToProto(run::StopReason reason) {
  switch (reason) {
    case run::StopReason::kCancel:
      return v1::STOP_REASON_CANCEL;
    case run::StopReason::kTimeout:
      return v1::STOP_REASON_TIMEOUT;
    case run::StopReason::kDeadline:
      return v1::STOP_REASON_DEADLINE;
  }
  return v1::STOP_REASON_UNSPECIFIED;
}

v1::Section ToProto(flowspec::Section section) {
  switch (section) {
    case flowspec::Section::kMain:
      return v1::SECTION_MAIN;
    case flowspec::Section::kOnFailure:
      return v1::SECTION_ON_FAILURE;
    case flowspec::Section::kCompensate:
      return v1::SECTION_COMPENSATE;
    case flowspec::Section::kFinally:
      return v1::SECTION_FINALLY;
  }
  return v1::SECTION_UNSPECIFIED;
}

// Protobuf's range is the years 1 to 9999; infinite times become its ends.
void SetTime(absl::Time time, google::protobuf::Timestamp* to) {
  static const absl::Time kMin = absl::FromUnixSeconds(-62135596800);
  static const absl::Time kMax = absl::FromUnixSeconds(253402300799);
  time = std::clamp(time, kMin, kMax);
  const int64_t seconds = absl::ToUnixSeconds(time);
  to->set_seconds(seconds);
  to->set_nanos(
      static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
}

// Copies facts into one message; `uris` adds what only the wire form has.
class Writer {
 public:
  Writer(v1::ExecutionEvent* to, bool uris) : to_(*to), uris_(uris) {}

  void Write(const run::Event& event) {
    to_.set_seq(event.seq);
    SetTime(event.time, to_.mutable_time());
    SetText(event.actor, to_.mutable_actor());
    std::visit([this](const auto& fact) { this->Put(fact); }, event.fact);
  }

 private:
  template <typename Message>
  static void PutPath(const std::string& path, Message* m) {
    SetText(path, m->mutable_path());
  }

  std::string Uri(const std::string& sha256) const { return absl::StrCat("blob:sha256:", sha256); }

  // `mutable_field` makes the field only where there is a value.
  template <typename Message>
  void Put(const run::Value& value, Message* m, v1::Value* (Message::*mutable_field)()) {
    if (value.absent()) return;
    v1::Value* to = (m->*mutable_field)();
    if (!value.is_blob()) return to->set_json(value.json());
    to->mutable_blob()->set_sha256(value.sha256());
    to->mutable_blob()->set_bytes(value.bytes());
    if (uris_) to->mutable_blob()->set_blob_uri(Uri(value.sha256()));
  }

  template <typename Message>
  static void Put(const run::Error& error, Message* m) {
    if (error == run::Error()) return;
    v1::Failure* to = m->mutable_failure();
    SetText(error.kind, to->mutable_kind());
    SetText(error.message, to->mutable_message());
    if (error.exit_code != -1) to->set_exit_code(error.exit_code);
  }

  void Put(const run::RunStarted& f) {
    auto* m = to_.mutable_run_started();
    m->set_run_ulid(f.run.bytes.data(), f.run.bytes.size());
    SetText(f.tenant, m->mutable_tenant());
    SetText(f.project, m->mutable_project());
    SetText(f.flow_name, m->mutable_flow_name());
    SetText(f.flow_digest, m->mutable_flow_digest());
    Put(f.inputs, m, &v1::RunStarted::mutable_inputs);
    for (const auto& [key, value] : f.labels) {
      v1::Label* label = m->add_labels();
      SetText(key, label->mutable_key());
      SetText(value, label->mutable_value());
    }
    SetText(f.trace_id, m->mutable_trace_id());
    SetText(f.workspace, m->mutable_workspace());
    SetText(f.request_id, m->mutable_request_id());
    SetText(f.request_hash, m->mutable_request_hash());
    PutRare(f, m);
  }

  // What most runs do not have.
  void PutRare(const run::RunStarted& f, v1::RunStarted* m) {
    Put(f.trigger, m, &v1::RunStarted::mutable_trigger);
    Put(f.llm_answers, m, &v1::RunStarted::mutable_llm_answers);
    if (f.parent) {
      v1::RunParent* parent = m->mutable_parent();
      parent->set_run_id(f.parent->run.ToString());
      SetText(f.parent->path, parent->mutable_path());
      parent->set_attempt(f.parent->attempt);
      parent->set_depth(f.parent->depth);
    }
    for (const run::BundledFlow& file : f.files) {
      v1::BundledFlow* to = m->add_files();
      SetText(file.path, to->mutable_path());
      SetText(file.digest, to->mutable_digest());
    }
    SetText(f.flow_path, m->mutable_flow_path());
    for (const std::string& id : f.break_at) SetText(id, m->add_break_at());
    SetText(f.only, m->mutable_only());
    SetText(f.concurrency_key, m->mutable_concurrency_key());
    m->set_queued(f.queued);
    if (f.replay_of) {
      m->mutable_replay_of()->set_run_id(f.replay_of->run.ToString());
      SetText(f.replay_of->from, m->mutable_replay_of()->mutable_from());
    }
  }

  void Put(const run::RunAdmitted&) { to_.mutable_run_admitted(); }

  void Put(const run::LoopDecided& f) {
    auto* m = to_.mutable_loop_decided();
    PutPath(f.path, m);
    m->set_round(f.round);
    m->set_again(f.again);
  }

  void Put(const run::CacheHit& f) {
    auto* m = to_.mutable_cache_hit();
    PutPath(f.path, m);
    SetText(f.key, m->mutable_key());
    SetText(f.from_run, m->mutable_from_run());
    SetText(f.from_path, m->mutable_from_path());
    SetTime(f.made_at, m->mutable_made_at());
    Put(f.output, m, &v1::CacheHit::mutable_output);
    for (const run::ArtifactRef& artifact : f.artifacts) Put(artifact, m->add_artifacts());
  }

  void Put(const run::WaitStarted& f) {
    auto* m = to_.mutable_wait_started();
    PutPath(f.path, m);
    if (f.until != absl::InfiniteFuture()) SetTime(f.until, m->mutable_until());
    SetText(f.signal, m->mutable_signal());
    SetText(f.match, m->mutable_match());
    SetText(f.schema, m->mutable_schema());
  }

  void Put(const run::WaitEnded& f) {
    auto* m = to_.mutable_wait_ended();
    PutPath(f.path, m);
    m->set_signal(f.signal);
  }

  void Put(const run::SignalReceived& f) {
    auto* m = to_.mutable_signal_received();
    SetText(f.name, m->mutable_name());
    Put(f.payload, m, &v1::SignalReceived::mutable_payload);
    SetText(f.id, m->mutable_id());
  }

  void Put(const run::TaskOpened& f) {
    auto* m = to_.mutable_task_opened();
    PutPath(f.path, m);
    m->set_task(f.task);
    m->set_round(f.round);
    m->set_max_rounds(f.max_rounds);
    SetText(f.title, m->mutable_title());
    Put(f.show, m, &v1::TaskOpened::mutable_show);
    SetText(f.form, m->mutable_form());
    for (const std::string& one : f.approvers) SetText(one, m->add_approvers());
    m->set_quorum(f.quorum);
    m->set_self_approval(f.self_approval);
    SetText(f.initiator, m->mutable_initiator());
    if (f.until != absl::InfiniteFuture()) SetTime(f.until, m->mutable_until());
    m->set_escalates(f.escalates);
    for (const std::string& one : f.escalate_to) SetText(one, m->add_escalate_to());
    SetText(f.digest, m->mutable_digest());
    SetText(f.rerun, m->mutable_rerun());
    m->set_previous(f.previous);
  }

  void Put(const run::TaskDecided& f) {
    auto* m = to_.mutable_task_decided();
    PutPath(f.path, m);
    m->set_task(f.task);
    m->set_round(f.round);
    m->set_verdict(ToProto(f.verdict));
    SetText(f.comment, m->mutable_comment());
    Put(f.payload, m, &v1::TaskDecided::mutable_payload);
    SetText(f.shown, m->mutable_shown());
    SetText(f.digest, m->mutable_digest());
    m->set_approvals(f.approvals);
    SetText(f.voter, m->mutable_voter());
    SetText(f.request_id, m->mutable_request_id());
  }

  void Put(const run::TaskDelegated& f) {
    auto* m = to_.mutable_task_delegated();
    PutPath(f.path, m);
    m->set_task(f.task);
    SetText(f.voter, m->mutable_voter());
    SetText(f.to, m->mutable_to());
    SetText(f.request_id, m->mutable_request_id());
  }

  void Put(const run::TaskEscalated& f) {
    auto* m = to_.mutable_task_escalated();
    PutPath(f.path, m);
    m->set_task(f.task);
    SetTime(f.until, m->mutable_until());
    for (const std::string& one : f.to) SetText(one, m->add_to());
  }

  void Put(const run::TaskClosed& f) {
    auto* m = to_.mutable_task_closed();
    PutPath(f.path, m);
    m->set_task(f.task);
    m->set_outcome(ToProto(f.outcome));
    Put(f.output, m, &v1::TaskClosed::mutable_output);
  }

  void Put(const run::StepsRewound& f) {
    auto* m = to_.mutable_steps_rewound();
    PutPath(f.path, m);
    for (const std::string& step : f.steps) SetText(step, m->add_steps());
    for (const uint64_t task : f.tasks) m->add_tasks(task);
    m->set_round(f.round);
    SetText(f.comment, m->mutable_comment());
    SetText(f.by, m->mutable_by());
  }

  void Put(const run::StepHeld& f) { PutPath(f.path, to_.mutable_step_held()); }
  void Put(const run::StepReleased& f) { PutPath(f.path, to_.mutable_step_released()); }

  void Put(const run::Intervened& f) {
    auto* m = to_.mutable_intervened();
    m->set_verb(ToProto(f.verb));
    SetText(f.reason, m->mutable_reason());
    SetText(f.request_id, m->mutable_request_id());
    SetText(f.request_hash, m->mutable_request_hash());
  }
  void Put(const run::RunReopened& f) {
    to_.mutable_run_reopened()->set_section(ToProto(f.section));
  }
  void Put(const run::StepRequeued& f) {
    auto* m = to_.mutable_step_requeued();
    PutPath(f.path, m);
    m->set_anew(f.anew);
    m->set_follows(f.follows);
  }
  void Put(const run::StepMarked& f) {
    auto* m = to_.mutable_step_marked();
    PutReason(f.path, f.reason, m);
    Put(f.output, m, &v1::StepMarked::mutable_output);
  }
  void Put(const run::RunPaused&) { to_.mutable_run_paused(); }
  void Put(const run::RunResumed&) { to_.mutable_run_resumed(); }
  void Put(const run::LetterDropped& f) { PutPath(f.path, to_.mutable_letter_dropped()); }
  void Put(const run::InputsChanged& f) {
    Put(f.inputs, to_.mutable_inputs_changed(), &v1::InputsChanged::mutable_inputs);
  }

  void Put(const run::StepReused& f) {
    auto* m = to_.mutable_step_reused();
    PutReason(f.path, f.reason, m);
    m->set_status(ToProto(f.status));
    Put(f.output, m, &v1::StepReused::mutable_output);
    Put(f.error, m);
    for (const run::ArtifactRef& artifact : f.artifacts) Put(artifact, m->add_artifacts());
    Put(f.items, m, &v1::StepReused::mutable_items);
    Put(f.keys, m, &v1::StepReused::mutable_keys);
    m->set_count(f.count);
    for (const run::ReusedItem& item : f.done) {
      v1::ReusedItem* to = m->add_done();
      to->set_index(item.index);
      to->set_status(ToProto(item.status));
      Put(item.output, to, &v1::ReusedItem::mutable_output);
      Put(item.error, to);
      for (const run::ArtifactRef& artifact : item.artifacts) Put(artifact, to->add_artifacts());
    }
  }

  void Put(const run::ForeachStarted& f) {
    auto* m = to_.mutable_foreach_started();
    PutPath(f.path, m);
    Put(f.items, m, &v1::ForeachStarted::mutable_items);
    Put(f.keys, m, &v1::ForeachStarted::mutable_keys);
    m->set_count(f.count);
  }

  void Put(const run::StepStarted& f) { PutPath(f.path, to_.mutable_step_started()); }

  void Put(const run::AttemptStarted& f) {
    auto* m = to_.mutable_attempt_started();
    PutPath(f.path, m);
    m->set_attempt(f.attempt);
    Put(f.input, m, &v1::AttemptStarted::mutable_input);
    SetText(f.idempotency_key, m->mutable_idempotency_key());
    SetText(f.cache_key, m->mutable_cache_key());
    SetText(f.cache_miss, m->mutable_cache_miss());
    SetText(f.turn, m->mutable_turn());
    if (f.most != run::Cost()) {
      m->mutable_most()->set_tokens(f.most.tokens);
      m->mutable_most()->set_nano_usd(f.most.nano_usd);
    }
  }

  void Put(const run::AttemptFinished& f) {
    auto* m = to_.mutable_attempt_finished();
    PutPath(f.path, m);
    m->set_attempt(f.attempt);
    m->set_outcome(ToProto(f.outcome));
    Put(f.output, m, &v1::AttemptFinished::mutable_output);
    Put(f.error, m);
    for (const run::ArtifactRef& artifact : f.artifacts) Put(artifact, m->add_artifacts());
    m->set_step_status(ToProto(f.step_status));
    if (f.usage != run::Usage()) Put(f.usage, m->mutable_usage());
    SetText(f.cache_key, m->mutable_cache_key());
    SetText(f.child_run, m->mutable_child_run());
    if (f.cached_until != absl::InfiniteFuture()) {
      SetTime(f.cached_until, m->mutable_cached_until());
    }
  }

  void Put(const run::Usage& usage, v1::Usage* to) const {
    SetText(usage.provider, to->mutable_provider());
    SetText(usage.model, to->mutable_model());
    SetText(usage.request_id, to->mutable_request_id());
    to->set_requests(usage.requests);
    to->set_input_tokens(usage.input_tokens);
    to->set_cache_read_tokens(usage.cache_read_tokens);
    to->set_cache_write_tokens(usage.cache_write_tokens);
    to->set_output_tokens(usage.output_tokens);
    to->set_reasoning_tokens(usage.reasoning_tokens);
    if (usage.nano_usd) to->set_nano_usd(*usage.nano_usd);
  }

  void Put(const run::ArtifactRef& artifact, v1::Artifact* to) const {
    SetText(artifact.name, to->mutable_name());
    SetText(artifact.path, to->mutable_path());
    SetText(artifact.sha256, to->mutable_sha256());
    to->set_bytes(artifact.bytes);
    SetText(artifact.report, to->mutable_report());
    to->set_by_pattern(artifact.by_pattern);
    if (artifact.summary) Put(*artifact.summary, to->mutable_summary());
    if (uris_) to->set_blob_uri(Uri(artifact.sha256));
  }

  void Put(const run::ReportSummary& summary, v1::ReportSummary* to) const {
    to->set_tests(summary.tests);
    to->set_failures(summary.failures);
    to->set_errors(summary.errors);
    to->set_skipped(summary.skipped);
    to->set_warnings(summary.warnings);
    to->set_notes(summary.notes);
    to->set_time_ms(absl::ToInt64Milliseconds(summary.time));
    for (const run::ReportCase& c : summary.cases) {
      v1::ReportCase* to_case = to->add_cases();
      SetText(c.name, to_case->mutable_name());
      SetText(c.message, to_case->mutable_message());
      SetText(c.file, to_case->mutable_file());
      to_case->set_line(c.line);
    }
    SetText(summary.problem, to->mutable_problem());
  }

  void Put(const run::RetryScheduled& f) {
    auto* m = to_.mutable_retry_scheduled();
    PutPath(f.path, m);
    m->set_attempt(f.attempt);
    SetTime(f.at, m->mutable_at());
  }

  template <typename Message>
  static void PutReason(const std::string& path, const std::string& reason, Message* m) {
    PutPath(path, m);
    SetText(reason, m->mutable_reason());
  }
  void Put(const run::StepSkipped& f) { PutReason(f.path, f.reason, to_.mutable_step_skipped()); }
  void Put(const run::StepCancelled& f) {
    PutReason(f.path, f.reason, to_.mutable_step_cancelled());
  }
  void Put(const run::StepParked& f) { PutReason(f.path, f.reason, to_.mutable_step_parked()); }

  void Put(const run::StepFinished& f) {
    auto* m = to_.mutable_step_finished();
    PutPath(f.path, m);
    m->set_status(ToProto(f.status));
    Put(f.output, m, &v1::StepFinished::mutable_output);
    Put(f.error, m);
  }

  void Put(const run::StopRequested& f) {
    auto* m = to_.mutable_stop_requested();
    PutPath(f.path, m);
    m->set_reason(ToProto(f.reason));
    SetText(f.message, m->mutable_message());
    m->set_force(f.force);
  }

  void Put(const run::OutputsResolved& f) {
    auto* m = to_.mutable_outputs_resolved();
    Put(f.outputs, m, &v1::OutputsResolved::mutable_outputs);
    Put(f.error, m);
  }

  void Put(const run::SectionStarted& f) {
    to_.mutable_section_started()->set_section(ToProto(f.section));
  }

  void Put(const run::RunFinished& f) {
    auto* m = to_.mutable_run_finished();
    m->set_status(ToProto(f.status));
    Put(f.error, m);
  }

  v1::ExecutionEvent& to_;
  const bool uris_;
};

std::string Serialize(const google::protobuf::MessageLite& message) {
  std::string bytes;
  bytes.resize(message.ByteSizeLong());
  google::protobuf::io::ArrayOutputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedOutputStream out(&array);
  out.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&out);
  return bytes;
}

// The attempt a fact is about, or 0.
int32_t FactAttempt(const run::Fact& fact) {
  if (auto* f = std::get_if<run::AttemptStarted>(&fact)) return f->attempt;
  if (auto* f = std::get_if<run::AttemptFinished>(&fact)) return f->attempt;
  if (auto* f = std::get_if<run::RetryScheduled>(&fact)) return f->attempt;
  return 0;
}

}  // namespace

std::string EncodeEvents(absl::Span<const run::Event> events) {
  alignas(8) char block[4096];
  google::protobuf::ArenaOptions options;
  options.initial_block = block;
  options.initial_block_size = sizeof(block);
  google::protobuf::Arena arena(options);
  auto* stored = google::protobuf::Arena::CreateMessage<v1::StoredEvents>(&arena);
  for (const run::Event& event : events) Writer(stored->add_events(), false).Write(event);
  return Serialize(*stored);
}

void ToWire(const run::Event& event, const WireContext& context, v1::ExecutionEvent* wire) {
  Writer(wire, true).Write(event);
  const std::string& path = run::FactPath(event.fact);
  wire->set_run_id(context.run_id.data(), context.run_id.size());
  wire->set_flow_id(context.flow_id.data(), context.flow_id.size());
  wire->set_trace_id(context.trace_id.data(), context.trace_id.size());
  wire->set_span_id(SpanId(context.run_id, path, FactAttempt(event.fact)));
  SetText(std::string(StepId(path)), wire->mutable_step_id());
  if (auto* f = std::get_if<run::AttemptStarted>(&event.fact)) {
    SetText(f->idempotency_key, wire->mutable_idempotency_key());
  }
}

std::string CanonicalBytes(const v1::ExecutionEvent& wire) { return Serialize(wire); }

}  // namespace beamline::codec
