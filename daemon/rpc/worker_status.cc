// Nothing but conversion.
#include "daemon/rpc/worker_status.h"

namespace beamline::rpc {
namespace {

void SetTime(absl::Time time, google::protobuf::Timestamp* out) {
  const int64_t micros = absl::ToUnixMicros(time);
  out->set_seconds(micros / 1'000'000);
  out->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
}

void WriteAttempt(const ports::WorkerAttemptStatus& attempt, v1::WorkerAttempt* out) {
  out->mutable_ref()->set_run_id(attempt.key.run.ToString());
  out->mutable_ref()->set_path(attempt.key.path);
  out->mutable_ref()->set_attempt(attempt.key.attempt);
  out->set_lease_epoch(attempt.epoch);
  out->set_task(attempt.task);
  SetTime(attempt.assigned_at, out->mutable_assigned_at());
  out->set_accepted(attempt.accepted);
  if (attempt.fraction) out->set_fraction(*attempt.fraction);
  out->set_message(attempt.message);
  out->set_given_up(attempt.given_up);
}

void WriteWorker(const ports::WorkerStatus& worker, v1::Worker* out) {
  out->set_id(worker.hello.id);
  out->set_actor(worker.hello.actor);
  out->set_program(worker.hello.program);
  v1::Capability* capability = nullptr;  // pairs are sorted by queue
  for (const auto& [queue, task] : worker.hello.serves) {
    if (capability == nullptr || capability->queue() != queue) {
      capability = out->add_capabilities();
      capability->set_queue(queue);
    }
    capability->add_tasks(task);
  }
  for (const auto& [name, value] : worker.hello.labels) (*out->mutable_labels())[name] = value;
  out->set_credit(worker.hello.credit);
  SetTime(worker.attached_at, out->mutable_attached_at());
  SetTime(worker.heard_at, out->mutable_heard_at());
  out->set_draining(worker.draining);
  out->set_silent(worker.silent);
  out->set_assigned_total(worker.assigned_total);
  for (const ports::WorkerAttemptStatus& attempt : worker.attempts) {
    WriteAttempt(attempt, out->add_attempts());
  }
}

}  // namespace

void WriteWorkers(const ports::WorkerPoolStatus& status, v1::ListWorkersResponse* response) {
  for (const ports::WorkerStatus& worker : status.workers) {
    WriteWorker(worker, response->add_workers());
  }
  WriteQueues(status.queues, response->mutable_queues());
}

void WriteQueues(const std::vector<ports::WorkerQueueStatus>& queues,
                 google::protobuf::RepeatedPtrField<v1::WorkerQueue>* wire) {
  for (const ports::WorkerQueueStatus& queue : queues) {
    v1::WorkerQueue* out = wire->Add();
    out->set_queue(queue.queue);
    out->set_task(queue.task);
    out->set_waiting(queue.waiting);
    if (queue.waiting > 0) SetTime(queue.waiting_since, out->mutable_waiting_since());
    out->set_workers(queue.workers);
  }
}

}  // namespace beamline::rpc
