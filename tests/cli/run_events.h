// Writes the events of a run as a short script, for tests of what shows them.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "beamline/v1/event.pb.h"
#include "proto/run_view.h"

namespace beamline::cli {

// Events with growing seq; time starts at 2025-01-31T12:00:00Z and moves by After().
class RunEvents {
 public:
  struct Step {
    std::string id;
    std::string kind = "run";
    int parent = -1;
    std::vector<std::string> needs = {};
    bool foreach = false;
    v1::Section section = v1::SECTION_MAIN;
    std::string as = {};
    int retry_max = 1;
  };

  static constexpr int64_t kStart = 1738324800;
  static constexpr char kId[] = "01jjxqs8000000000000k3v9qz";

  RunEvents& After(int64_t milliseconds) {
    now_ms_ += milliseconds;
    return *this;
  }
  RunEvents& Start(const std::string& flow, const std::vector<Step>& steps) {
    v1::RunStarted* fact = Add().mutable_run_started();
    fact->set_flow_name(flow);
    fact->set_flow_digest("d1");
    fact->mutable_inputs()->set_json("{\"who\":\"world\"}");
    for (const Step& step : steps) {
      v1::StepOutline* outline = fact->add_outline();
      outline->set_id(step.id);
      outline->set_kind(step.kind);
      outline->set_section(step.section);
      outline->set_foreach(step.foreach);
      outline->set_foreach_as(step.as);
      outline->set_retry_max(step.retry_max);
      if (step.parent >= 0) outline->set_parent(step.parent);
      for (const std::string& need : step.needs) outline->add_needs(need);
    }
    return *this;
  }
  RunEvents& StepStarted(const std::string& path) {
    Add().mutable_step_started()->set_path(path);
    return *this;
  }
  RunEvents& Foreach(const std::string& path, const std::string& keys, int count,
                     const std::string& items = "") {
    v1::ForeachStarted* fact = Add().mutable_foreach_started();
    fact->set_path(path);
    fact->set_count(count);
    if (!keys.empty()) fact->mutable_keys()->set_json(keys);
    if (!items.empty()) fact->mutable_items()->set_json(items);
    return *this;
  }
  RunEvents& Attempt(const std::string& path, int attempt = 1) {
    v1::AttemptStarted* fact = Add().mutable_attempt_started();
    fact->set_path(path);
    fact->set_attempt(attempt);
    fact->set_idempotency_key("run/" + path);
    return *this;
  }
  RunEvents& Succeeded(const std::string& path, const std::string& output = "", int attempt = 1) {
    v1::AttemptFinished* fact = Finished(path, attempt, v1::OUTCOME_SUCCEEDED);
    fact->set_step_status(v1::STATUS_SUCCEEDED);
    if (!output.empty()) fact->mutable_output()->set_json(output);
    return *this;
  }
  // Of the attempt that has just finished.
  RunEvents& Artifact(const std::string& name, uint64_t bytes) {
    v1::Artifact* artifact = events_.back().mutable_attempt_finished()->add_artifacts();
    artifact->set_name(name);
    artifact->set_bytes(bytes);
    return *this;
  }
  RunEvents& Failed(const std::string& path, int exit_code, int attempt = 1,
                    v1::Status status = v1::STATUS_FAILED) {
    v1::AttemptFinished* fact = Finished(path, attempt, v1::OUTCOME_FAILED);
    fact->set_step_status(status);
    fact->mutable_failure()->set_kind("exit");
    fact->mutable_failure()->set_exit_code(exit_code);
    return *this;
  }
  RunEvents& FailedForNow(const std::string& path, int exit_code, int attempt = 1) {
    return Failed(path, exit_code, attempt, v1::STATUS_RUNNING);
  }
  RunEvents& Retry(const std::string& path, int attempt, int64_t in_ms) {
    v1::RetryScheduled* fact = Add().mutable_retry_scheduled();
    fact->set_path(path);
    fact->set_attempt(attempt);
    SetTime(now_ms_ + in_ms, fact->mutable_at());
    return *this;
  }
  RunEvents& Skipped(const std::string& path, const std::string& reason) {
    v1::StepSkipped* fact = Add().mutable_step_skipped();
    fact->set_path(path);
    fact->set_reason(reason);
    return *this;
  }
  RunEvents& Parked(const std::string& path, const std::string& reason) {
    v1::StepParked* fact = Add().mutable_step_parked();
    fact->set_path(path);
    fact->set_reason(reason);
    return *this;
  }
  RunEvents& Asked(const std::string& path, uint64_t task, int round = 1) {
    v1::TaskOpened* fact = Add().mutable_task_opened();
    fact->set_path(path);
    fact->set_task(task);
    fact->set_round(round);
    fact->set_max_rounds(3);
    fact->set_title("Publish?");
    return *this;
  }
  RunEvents& Rewound(const std::string& path, std::initializer_list<std::string> steps) {
    v1::StepsRewound* fact = Add().mutable_steps_rewound();
    fact->set_path(path);
    for (const std::string& step : steps) fact->add_steps(step);
    return *this;
  }
  RunEvents& Ended(const std::string& path, v1::Status status, const std::string& output = "") {
    v1::StepFinished* fact = Add().mutable_step_finished();
    fact->set_path(path);
    fact->set_status(status);
    if (!output.empty()) fact->mutable_output()->set_json(output);
    return *this;
  }
  RunEvents& Stop(const std::string& message) {
    Add().mutable_stop_requested()->set_message(message);
    return *this;
  }
  RunEvents& Section(v1::Section section) {
    Add().mutable_section_started()->set_section(section);
    return *this;
  }
  RunEvents& Outputs(const std::string& json) {
    Add().mutable_outputs_resolved()->mutable_outputs()->set_json(json);
    return *this;
  }
  RunEvents& Finish(v1::Status status) {
    Add().mutable_run_finished()->set_status(status);
    return *this;
  }

  const std::vector<v1::ExecutionEvent>& events() const { return events_; }
  proto::RunView View() const {
    proto::RunView view;
    for (const v1::ExecutionEvent& event : events_) view.Apply(event);
    return view;
  }

 private:
  static void SetTime(int64_t ms, google::protobuf::Timestamp* time) {
    time->set_seconds(kStart + ms / 1000);
    time->set_nanos(static_cast<int32_t>(ms % 1000) * 1'000'000);
  }
  v1::ExecutionEvent& Add() {
    v1::ExecutionEvent& event = events_.emplace_back();
    event.set_run_id(kId);
    event.set_seq(events_.size());
    event.set_actor("uid:1000");
    SetTime(now_ms_, event.mutable_time());
    return event;
  }
  v1::AttemptFinished* Finished(const std::string& path, int attempt, v1::Outcome outcome) {
    v1::AttemptFinished* fact = Add().mutable_attempt_finished();
    fact->set_path(path);
    fact->set_attempt(attempt);
    fact->set_outcome(outcome);
    return fact;
  }

  std::vector<v1::ExecutionEvent> events_;
  int64_t now_ms_ = 0;
};

}  // namespace beamline::cli
