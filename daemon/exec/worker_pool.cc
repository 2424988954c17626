// The side of the workers: what they say about their leases, and about themselves.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/worker_clock.h"
#include "daemon/exec/worker_executor.h"
#include "daemon/exec/worker_task.h"

namespace beamline::exec {
namespace {

constexpr int kRejectionsMax = 10;
constexpr absl::Duration kRestAfterReject = absl::Seconds(1);
constexpr size_t kChunkBytesMax = 64 << 10;
constexpr size_t kMessageBytesMax = 200;

run::ReportAttempt Unknown(const ports::AttemptKey& key, std::string why) {
  run::ReportAttempt report{.path = key.path, .attempt = key.attempt};
  report.outcome = run::Outcome::kUnknown;
  report.error = {"unknown", absl::StrCat(why, "; whether the attempt took effect is unknown")};
  return report;
}

}  // namespace

absl::StatusOr<ports::WorkerPool::Number> WorkerExecutor::Attach(
    ports::WorkerHello hello, std::shared_ptr<ports::WorkerLink> link) {
  ports::MutexLock lock(&mu_);
  if (draining_) return absl::UnavailableError("the daemon is about to end");
  const auto [place, added] =
      numbers_.try_emplace(std::pair(hello.tenant, hello.id), last_worker_ + 1);
  if (!added) {
    return absl::AlreadyExistsError(
        absl::StrCat("a worker `", hello.id, "` is attached; give this one another id"));
  }
  const Number number = ++last_worker_;
  const absl::Time now = SteadyNow();
  queue_.Attach(number, hello.tenant, hello.serves, hello.credit, now);
  workers_.emplace(number, Worker{std::move(hello), std::move(link), absl::Now()});
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  Dispatch(now);
  Propose(queue_.NextLook());
  return number;
}

void WorkerExecutor::Detach(Number number) {
  Reports reports;
  {
    ports::MutexLock lock(&mu_);
    const auto worker = workers_.find(number);
    if (worker == workers_.end()) return;
    const ports::WorkerHello& hello = worker->second.hello;
    for (const WorkerQueue::Ended& ended : queue_.Detach(number)) {
      Job& job = *jobs_.at(ended.job);
      Report(job,
             job.ending
                 ? *std::move(job.ending)
                 : Unknown(job.assignment.key, absl::StrCat("the worker ", hello.id, " was lost")),
             &reports);
      Erase(ended.job);
    }
    numbers_.erase(std::pair(hello.tenant, hello.id));
    workers_.erase(worker);
  }
  Deliver(std::move(reports));
}

void WorkerExecutor::Heartbeat(Number worker, int32_t credit) {
  ports::MutexLock lock(&mu_);
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  const absl::Time now = SteadyNow();
  found->second.hello.credit = credit;
  queue_.Hear(worker, now);
  queue_.SetCredit(worker, credit);
  Dispatch(now);
}

void WorkerExecutor::DrainItself(Number worker) {
  ports::MutexLock lock(&mu_);
  queue_.Hear(worker, SteadyNow());
  queue_.Drain(worker);
}

WorkerExecutor::Job* WorkerExecutor::Leased(Number worker, const ports::AttemptKey& key,
                                            uint64_t epoch, absl::Time now, uint64_t* id) {
  queue_.Hear(worker, now);
  const auto found = job_ids_.find(key);
  if (found == job_ids_.end()) return nullptr;
  *id = found->second;
  const bool current = queue_.LeaseOf(worker, *id) == epoch && !queue_.IsGivenUp(*id);
  return current ? jobs_.at(*id).get() : nullptr;
}

void WorkerExecutor::Accept(Number worker, const ports::AttemptKey& key, uint64_t epoch) {
  ports::MutexLock lock(&mu_);
  uint64_t id = 0;
  if (Job* job = Leased(worker, key, epoch, SteadyNow(), &id)) job->accepted = true;
}

void WorkerExecutor::Reject(Number worker, const ports::AttemptKey& key, uint64_t epoch,
                            std::string_view reason) {
  Reports reports;
  {
    ports::MutexLock lock(&mu_);
    const absl::Time now = SteadyNow();
    uint64_t id = 0;
    Job* job = Leased(worker, key, epoch, now, &id);
    if (job == nullptr) {
      // Given up meanwhile: it was never begun, and the worker has room again.
      if (id != 0 && queue_.LeaseOf(worker, id) == epoch) {
        queue_.Finish(id);
        Erase(id);
        Dispatch(now);
      }
      return;
    }
    const std::string& name = workers_.at(worker).hello.id;
    std::optional<run::ReportAttempt> report;
    if (job->accepted) {
      report = Unknown(key, absl::StrCat("the worker ", name, " gave it back after it began"));
    } else if (++job->rejections >= kRejectionsMax) {
      report = run::ReportAttempt{.path = key.path, .attempt = key.attempt};
      report->outcome = run::Outcome::kFailed;
      report->error = {
          "rejected",
          absl::StrCat(kRejectionsMax, " times no worker would take it; ", name, ": ",
                       PrintableLine({reason.data(), reason.size()}, kMessageBytesMax))};
    }
    if (job->ending) report = std::move(job->ending);
    if (report) {
      Report(*job, *std::move(report), &reports);
      queue_.Finish(id);
      Erase(id);
    } else {
      job->waiting_since = absl::Now();
      queue_.Return(id, now, kRestAfterReject);
      Propose(now + kRestAfterReject);
    }
    Dispatch(now);
  }
  Deliver(std::move(reports));
}

void WorkerExecutor::Progress(Number worker, const ports::AttemptKey& key, uint64_t epoch,
                              std::optional<double> fraction, std::string_view message) {
  ports::MutexLock lock(&mu_);
  uint64_t id = 0;
  Job* job = Leased(worker, key, epoch, SteadyNow(), &id);
  if (job == nullptr) return;
  job->accepted = true;
  job->fraction.reset();
  if (fraction && *fraction >= 0 && *fraction <= 1) job->fraction = fraction;
  job->message = PrintableLine({message.data(), message.size()}, kMessageBytesMax);
}

void WorkerExecutor::Print(Number worker, const ports::AttemptKey& key, uint64_t epoch,
                           ports::OutputStream stream, std::string_view bytes) {
  {
    ports::MutexLock lock(&mu_);
    uint64_t id = 0;
    Job* job = Leased(worker, key, epoch, SteadyNow(), &id);
    if (job == nullptr) return;
    job->accepted = true;
  }
  // The worker's next word is read when this returns: nothing is printed after the report.
  while (!bytes.empty()) {
    ports::OutputChunk chunk{.path = key.path, .attempt = key.attempt, .stream = stream};
    chunk.time = absl::Now();
    chunk.bytes = std::string(bytes.substr(0, kChunkBytesMax));
    bytes.remove_prefix(chunk.bytes.size());
    sink_.Write(key.run, std::move(chunk));
  }
}

ports::Verdict WorkerExecutor::Finish(Number worker, const ports::AttemptKey& key, uint64_t epoch,
                                      ports::WorkerResult result) {
  if (key.path.empty() || key.attempt < 1 || epoch >> 16 != static_cast<uint64_t>(key.attempt) ||
      (epoch & 0xffff) == 0) {
    return {ports::ResultVerdict::kUnknownAttempt,
            "no attempt has this path, number and lease epoch"};
  }
  run::ReportAttempt report = ReportOf(key, std::move(result));
  std::optional<run::ReportAttempt> instead;
  std::function<void(run::ReportAttempt)> done;
  ports::Verdict verdict;
  std::optional<LateResult> late;
  bool was_its_own = false;
  {
    ports::MutexLock lock(&mu_);
    const absl::Time now = SteadyNow();
    uint64_t id = 0;
    Job* job = Leased(worker, key, epoch, now, &id);
    was_its_own = id != 0 && queue_.LeaseOf(worker, id) == epoch;
    const bool timed_out =
        job != nullptr && job->ending && job->ending->outcome == run::Outcome::kFailed;
    if (job == nullptr || timed_out) {
      late = Late(worker, key, epoch);
      verdict = {ports::ResultVerdict::kStaleEpoch,
                 timed_out ? "the attempt has timed out" : "the lease of this epoch is over"};
    } else if (report.error.kind == "output") {
      verdict = {ports::ResultVerdict::kOutputInvalid, report.error.message};
    }
    if (job != nullptr) {
      if (job->ending && (timed_out || report.outcome != run::Outcome::kSucceeded)) {
        instead = std::move(job->ending);
      }
      done = std::exchange(job->done, nullptr);
    }
    if (was_its_own) {
      queue_.Finish(id);
      Erase(id);
      Dispatch(now);
    }
  }
  if (late) KeepLate(*std::move(late), report, was_its_own);
  if (done) done(instead ? *std::move(instead) : std::move(report));
  return verdict;
}

LateResult WorkerExecutor::Late(Number worker, const ports::AttemptKey& key, uint64_t epoch) {
  const auto found = workers_.find(worker);
  return {
      .key = key, .epoch = epoch, .worker = found == workers_.end() ? "" : found->second.hello.id};
}

// An attempt that was this worker's is answered once, so that what is kept is bounded by what was
// assigned. Of others there is no output to keep: anybody may claim anything.
void WorkerExecutor::KeepLate(LateResult late, const run::ReportAttempt& report, bool with_output) {
  late.outcome = run::OutcomeName(report.outcome);
  late.output_bytes = report.output.bytes();
  if (with_output && !report.output.absent()) {
    late.output_sha256 = blobs_.Put(report.output.json()).value_or("");
  }
  options_.late(late);
}

ports::WorkerPoolStatus WorkerExecutor::Look(const std::string& tenant) {
  ports::WorkerPoolStatus status;
  ports::MutexLock lock(&mu_);
  const absl::Duration to_wall = absl::Now() - SteadyNow();
  for (const auto& [number, worker] : workers_) {
    if (worker.hello.tenant != tenant) continue;
    const WorkerQueue::WorkerState state = queue_.Describe(number);
    ports::WorkerStatus one{worker.hello,   worker.attached_at, state.heard_at + to_wall,
                            state.draining, state.silent,       worker.assigned_total};
    for (uint64_t id : state.jobs) {
      const Job& job = *jobs_.at(id);
      one.attempts.push_back({job.assignment.key, job.assignment.epoch, job.assignment.task,
                              job.assigned_at, job.accepted, queue_.IsGivenUp(id), job.fraction,
                              job.message});
    }
    status.workers.push_back(std::move(one));
  }
  std::sort(status.workers.begin(), status.workers.end(),
            [](const auto& a, const auto& b) { return a.hello.id < b.hello.id; });
  for (const WorkerQueue::LineStatus& line : queue_.Lines()) {
    if (line.name.tenant != tenant) continue;
    ports::WorkerQueueStatus one{line.name.queue, line.name.task, line.waiting};
    one.workers = line.workers;
    if (line.first) one.waiting_since = jobs_.at(*line.first)->waiting_since;
    status.queues.push_back(std::move(one));
  }
  return status;
}

absl::Status WorkerExecutor::DrainWorker(const std::string& tenant, const std::string& id) {
  ports::MutexLock lock(&mu_);
  const auto number = numbers_.find(std::pair(tenant, id));
  if (number == numbers_.end()) {
    return absl::NotFoundError(absl::StrCat("no worker `", id, "` is attached"));
  }
  queue_.Drain(number->second);
  workers_.at(number->second).link->Drain("asked to by beamline worker drain");
  return absl::OkStatus();
}

}  // namespace beamline::exec
