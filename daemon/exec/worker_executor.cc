// The side of the engine: attempts come in, reports go out, and a thread looks at the clock.
#include "daemon/exec/worker_executor.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/exec/worker_clock.h"
#include "daemon/exec/worker_task.h"

namespace beamline::exec {
namespace {

// Three intervals, as worker.proto promises.
const absl::Duration kSilenceMax = 3 * ports::kWorkerHeartbeat;
// A look that is late by more than this says something about this machine, not about the workers.
constexpr absl::Duration kLateMax = absl::Seconds(1);

run::ReportAttempt EndOf(const ports::AttemptKey& key, run::StopReason reason) {
  run::ReportAttempt report{.path = key.path, .attempt = key.attempt};
  report.outcome = run::Outcome::kStopped;
  switch (reason) {
    case run::StopReason::kCancel:
      report.error = {"stopped", "stopped on request"};
      break;
    case run::StopReason::kTimeout:
      report.error = {"timeout", "stopped: out of time"};
      break;
    case run::StopReason::kDeadline:
      report.error = {"deadline", "stopped: its deadline passed"};
      break;
  }
  return report;
}

}  // namespace

WorkerExecutor::WorkerExecutor(Options options, ports::OutputSink& sink, ports::BlobStore& blobs)
    : options_(std::move(options)), sink_(sink), blobs_(blobs), queue_(kSilenceMax) {}

WorkerExecutor::~WorkerExecutor() {
  {
    ports::MutexLock lock(&wake_mu_);
    ending_ = true;
  }
  std::thread thread;
  Reports reports;
  {
    ports::MutexLock lock(&mu_);
    thread.swap(thread_);
    for (auto& [id, job] : jobs_) {
      Report(*job, EndOf(job->assignment.key, run::StopReason::kCancel), &reports);
    }
  }
  if (thread.joinable()) thread.join();
  Deliver(std::move(reports));
}

void WorkerExecutor::DrainAll() {
  ports::MutexLock lock(&mu_);
  draining_ = true;
}

size_t WorkerExecutor::waiting() {
  ports::MutexLock lock(&mu_);
  return queue_.waiting();
}

void WorkerExecutor::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  absl::StatusOr<WorkerTask> task = ReadWorkerTask(attempt.input);
  if (!task.ok()) {
    run::ReportAttempt report{.path = attempt.path, .attempt = attempt.attempt};
    report.outcome = run::Outcome::kFailed;
    report.error = {"input", std::string(task.status().message())};
    return done(std::move(report));
  }
  auto job = std::make_unique<Job>();
  const WorkerQueue::LineName line{std::move(attempt.tenant), task->queue, task->task};
  job->assignment = {.key = {attempt.run, std::move(attempt.path), attempt.attempt},
                     .queue = std::move(task->queue),
                     .task = std::move(task->task),
                     .input = std::move(task->input),
                     .flow_name = std::move(attempt.flow_name),
                     .step_id = std::move(attempt.step_id),
                     .idempotency_key = std::move(attempt.idempotency_key),
                     .trace_id = std::move(attempt.trace_id),
                     .heartbeat = task->heartbeat};
  job->done = std::move(done);
  job->timeout = attempt.timeout;
  job->waiting_since = absl::Now();
  const uint64_t epoch_base = static_cast<uint64_t>(attempt.attempt) << 16;
  ports::MutexLock lock(&mu_);
  const uint64_t id = ++last_job_;
  job_ids_.emplace(job->assignment.key, id);
  jobs_.emplace(id, std::move(job));
  queue_.Add(id, line, attempt.run, epoch_base, task->heartbeat);
  Dispatch(SteadyNow());
}

void WorkerExecutor::Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                          run::StopReason reason, bool force) {
  const ports::AttemptKey key{run, path, attempt};
  Reports reports;
  {
    ports::MutexLock lock(&mu_);
    const auto found = job_ids_.find(key);
    if (found == job_ids_.end()) return;
    const uint64_t id = found->second;
    Job& job = *jobs_.at(id);
    if (!job.done || (job.ending && !force)) return;
    run::ReportAttempt end = EndOf(key, reason);
    if (queue_.Withdraw(id)) {
      Report(job, std::move(end), &reports);
      Erase(id);
    } else {
      workers_.at(job.worker)
          .link->Cancel(key, job.assignment.epoch, ports::WorkerCancel::kStopped, force);
      if (force) {
        queue_.GiveUp(id);
        Report(job, std::move(end), &reports);
      } else {
        job.ending = std::move(end);
        const absl::Time until = SteadyNow() + options_.grace;
        queue_.SetAlarm(id, until);
        Propose(until);
      }
    }
  }
  Deliver(std::move(reports));
}

// Everything that there is room for goes out; the transport sends it in few messages.
void WorkerExecutor::Dispatch(absl::Time now) {
  if (draining_) return;
  while (const std::optional<WorkerQueue::Grant> grant = queue_.Next(now)) {
    Job& job = *jobs_.at(grant->job);
    Worker& worker = workers_.at(grant->worker);
    job.worker = grant->worker;
    job.assigned_at = absl::Now();
    job.accepted = false;
    ports::Assignment& assignment = job.assignment;
    assignment.epoch = grant->epoch;
    absl::Time look = now + assignment.heartbeat;
    if (job.timeout != absl::InfiniteDuration()) {
      assignment.deadline = job.assigned_at + job.timeout;
      queue_.SetAlarm(grant->job, now + job.timeout);
      look = std::min(look, now + job.timeout);
    }
    ++worker.assigned_total;
    worker.link->Assign(assignment);
    Propose(look);
  }
}

void WorkerExecutor::Report(Job& job, run::ReportAttempt report, Reports* reports) {
  if (!job.done) return;
  reports->emplace_back(std::exchange(job.done, nullptr), std::move(report));
}

void WorkerExecutor::Deliver(Reports reports) {
  for (auto& [done, report] : reports) done(std::move(report));
}

void WorkerExecutor::Erase(uint64_t id) {
  const auto job = jobs_.find(id);
  job_ids_.erase(job->second->assignment.key);
  jobs_.erase(job);
}

void WorkerExecutor::Expire(absl::Time now) {
  Reports reports;
  {
    ports::MutexLock lock(&mu_);
    const WorkerQueue::Expired expired = queue_.Expire(now);
    for (uint64_t id : expired.silent) {
      Job& job = *jobs_.at(id);
      Worker& worker = workers_.at(job.worker);
      run::ReportAttempt report{.path = job.assignment.key.path,
                                .attempt = job.assignment.key.attempt};
      report.outcome = run::Outcome::kUnknown;
      report.error = {"unknown", absl::StrCat("the worker ", worker.hello.id, " was silent for ",
                                              absl::FormatDuration(job.assignment.heartbeat),
                                              "; whether the attempt took effect is unknown")};
      worker.link->Cancel(job.assignment.key, job.assignment.epoch,
                          ports::WorkerCancel::kLeaseExpired, false);
      Report(job, job.ending ? *std::move(job.ending) : std::move(report), &reports);
    }
    for (uint64_t id : expired.alarms) {
      Job& job = *jobs_.at(id);
      if (job.ending) {  // asked to, and did not
        queue_.GiveUp(id);
        Report(job, *std::move(job.ending), &reports);
        continue;
      }
      run::ReportAttempt report{.path = job.assignment.key.path,
                                .attempt = job.assignment.key.attempt};
      report.outcome = run::Outcome::kFailed;
      report.error = {"timeout",
                      absl::StrCat("timed out after ", absl::FormatDuration(job.timeout))};
      job.ending = std::move(report);
      workers_.at(job.worker)
          .link->Cancel(job.assignment.key, job.assignment.epoch, ports::WorkerCancel::kTimeout,
                        false);
      queue_.SetAlarm(id, now + options_.grace);
      Propose(now + options_.grace);
    }
    Dispatch(now);
  }
  Deliver(std::move(reports));
}

void WorkerExecutor::Propose(absl::Time at) {
  if (at >= planned_) return;
  planned_ = at;
  ports::MutexLock lock(&wake_mu_);
  woken_ = true;
}

void WorkerExecutor::Loop() {
  while (true) {
    absl::Time planned;
    {
      ports::MutexLock lock(&mu_);
      planned = planned_ = queue_.NextLook();
    }
    bool woken = false;
    {
      ports::MutexLock lock(&wake_mu_);
      const auto changed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(wake_mu_) {
        return woken_ || ending_;
      };
      wake_mu_.AwaitFor(changed, planned == absl::InfiniteFuture()
                                     ? absl::InfiniteDuration()
                                     : std::max(planned - SteadyNow(), absl::ZeroDuration()));
      if (ending_) return;
      woken = std::exchange(woken_, false);
    }
    if (woken) continue;
    const absl::Time now = SteadyNow();
    if (now - planned > kLateMax) {
      ports::MutexLock lock(&mu_);
      queue_.Forgive(now);
    }
    Expire(now);
  }
}

}  // namespace beamline::exec
