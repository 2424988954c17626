// Gathers counts; nothing is counted here that is not bounded.
#include "daemon/rpc/activity.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/rpc/refusal.h"
#include "daemon/rpc/wire_time.h"
#include "daemon/rpc/worker_status.h"

namespace beamline::rpc {
namespace {

constexpr int kRunsDefault = 10, kRunsMax = 100;
constexpr size_t kWorkersMax = 100;
constexpr uint64_t kLettersCountedMax = 100'000;

void WriteTotals(const engine::Totals& totals, v1::ActivityTotals* wire) {
  wire->set_started(totals.started);
  wire->set_succeeded(totals.succeeded);
  wire->set_failed(totals.failed);
  wire->set_cancelled(totals.cancelled);
  wire->set_nano_usd(totals.nano_usd);
  wire->set_tokens(totals.tokens);
  wire->set_requests(totals.requests);
  wire->set_unpriced(totals.unpriced);
}

void WriteRuns(const std::vector<engine::ActiveRun>& runs,
               google::protobuf::RepeatedPtrField<v1::ActiveRun>* wire) {
  for (const engine::ActiveRun& run : runs) {
    v1::ActiveRun* one = wire->Add();
    one->set_run_id(run.run.ToString());
    one->set_flow(run.flow);
    SetTime(run.started_at, one->mutable_started_at());
    one->set_under_way(run.under_way);
    one->set_nano_usd(run.spent.nano_usd);
    one->set_tokens(run.spent.tokens);
  }
}

void WriteSums(const engine::Tally::Sums& sums, v1::GetActivityResponse* response) {
  const auto runs = [&](ports::RunStatus status) { return sums.runs[static_cast<size_t>(status)]; };
  response->set_pending(runs(ports::RunStatus::kPending));
  response->set_running(runs(ports::RunStatus::kRunning));
  response->set_waiting(runs(ports::RunStatus::kWaiting));
  response->set_paused(runs(ports::RunStatus::kPaused));
  WriteTotals(sums.total, response->mutable_total());
  WriteTotals(sums.last_minute, response->mutable_last_minute());
  WriteTotals(sums.last_hour, response->mutable_last_hour());
}

void WriteLoads(ports::WorkerPoolStatus pool, v1::GetActivityResponse* response) {
  response->set_workers_total(pool.workers.size());
  const size_t shown = std::min(pool.workers.size(), kWorkersMax);
  std::partial_sort(pool.workers.begin(), pool.workers.begin() + static_cast<ptrdiff_t>(shown),
                    pool.workers.end(), [](const auto& a, const auto& b) {
                      return a.attempts.size() != b.attempts.size()
                                 ? a.attempts.size() > b.attempts.size()
                                 : a.hello.id < b.hello.id;
                    });
  for (size_t i = 0; i < shown; ++i) {
    const ports::WorkerStatus& worker = pool.workers[i];
    v1::WorkerLoad* load = response->add_workers();
    load->set_id(worker.hello.id);
    load->set_credit(worker.hello.credit);
    load->set_attempts(static_cast<int32_t>(worker.attempts.size()));
    load->set_assigned_total(worker.assigned_total);
    load->set_draining(worker.draining);
    load->set_silent(worker.silent);
  }
  WriteQueues(pool.queues, response->mutable_queues());
}

absl::Status Gather(const Backend& backend, const About& about, const engine::Survey& survey,
                    v1::GetActivityResponse* response) {
  const absl::Time now = backend.clock.Now();
  const engine::Engine::Activity activity = backend.engine.activity();
  response->set_version(BEAMLINE_VERSION);
  SetTime(about.started_at, response->mutable_started_at());
  SetTime(now, response->mutable_time());
  response->set_draining(activity.draining);
  response->set_attempts(activity.attempts);
  response->set_slots(survey.slots);
  response->set_slots_busy(survey.slots_busy);
  response->set_in_line(survey.in_line);
  WriteSums(backend.engine.tally().Look(now), response);
  WriteRuns(survey.oldest, response->mutable_oldest());
  WriteRuns(survey.busiest, response->mutable_busiest());
  WriteLoads(backend.workers.Look(kTenant), response);
  const absl::StatusOr<uint64_t> tasks = backend.tasks.CountTasks(kTenant);
  if (!tasks.ok()) return tasks.status();
  response->set_tasks_open(*tasks);
  const absl::StatusOr<uint64_t> letters =
      backend.events.CountDeadLetters(kTenant, kLettersCountedMax);
  if (!letters.ok()) return letters.status();
  response->set_dead_letters(*letters);
  return absl::OkStatus();
}

}  // namespace

void GetActivity(const Backend& backend, const About& about, const v1::GetActivityRequest& request,
                 v1::GetActivityResponse* response, Done done) {
  if (request.runs_max() < 0) return done(InvalidField("runs_max", "must not be negative"));
  const int runs = request.runs_max() == 0 ? kRunsDefault : std::min(request.runs_max(), kRunsMax);
  backend.engine.LookAtRuns(
      static_cast<size_t>(runs),
      [&backend, &about, response, done = std::move(done)](engine::Survey survey) {
        backend.reads.Do([&backend, &about, response, done, survey = std::move(survey)] {
          done(Gather(backend, about, survey, response));
        });
      });
}

}  // namespace beamline::rpc
