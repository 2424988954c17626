// Results keep the order of the requests; each start is answered by itself.
#include "daemon/rpc/start_runs.h"

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/reasons.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/start_run.h"

namespace beamline::rpc {
namespace {

constexpr size_t kStartsInFlightMax = 1024;
constexpr size_t kStartsMax = 100'000;  // of one call

}  // namespace

struct StartedRuns::Shared {
  const Backend& backend;
  const Caller caller;
  const std::function<void()> next;

  struct Start {
    v1::StartRunRequest request;
    v1::StartRunResponse response;
    absl::Status status;
  };
  ports::Mutex mu;
  std::deque<Start> starts ABSL_GUARDED_BY(mu);  // places stay where they are
  size_t open ABSL_GUARDED_BY(mu) = 0;
  bool held ABSL_GUARDED_BY(mu) = false;  // `next` is owed
  v1::StartRunsResponse* result ABSL_GUARDED_BY(mu) = nullptr;
  Done done ABSL_GUARDED_BY(mu);
};

StartedRuns::StartedRuns(const Backend& backend, Caller caller, std::function<void()> next)
    : shared_(new Shared{backend, std::move(caller), std::move(next)}) {}
StartedRuns::~StartedRuns() = default;

namespace {

template <class Starts>
void Report(const Starts& starts, v1::StartRunsResponse* result) {
  for (const auto& start : starts) {
    auto* run = result->add_runs();
    if (start.status.ok()) {
      run->set_run_id(start.response.run_id());
      run->set_existing(start.response.existing());
      continue;
    }
    const absl::Status refusal = Explain(start.status);
    run->set_code(static_cast<int>(refusal.code()));
    run->set_reason(ReasonOf(refusal));
    run->set_message(std::string(refusal.message()));
  }
}

}  // namespace

void StartedRuns::Add(v1::StartRunRequest request) {
  Shared& shared = *shared_;
  Shared::Start* start = nullptr;
  bool go_on = false;
  {
    ports::MutexLock lock(&shared.mu);
    start = &shared.starts.emplace_back();
    if (shared.starts.size() > kStartsMax) {
      start->status = TooLarge("starts", shared.starts.size(), kStartsMax);
      go_on = true;
    } else {
      go_on = ++shared.open < kStartsInFlightMax;
      shared.held = !go_on;
    }
  }
  start->request = std::move(request);
  if (start->status.ok()) {
    StartRun(shared.backend, shared.caller, start->request, &start->response,
             [self = shared_from_this(), start](absl::Status status) {
               Shared& shared = *self->shared_;
               bool next = false;
               Done done;
               {
                 ports::MutexLock lock(&shared.mu);
                 start->status = std::move(status);
                 start->request.Clear();
                 --shared.open;
                 next = std::exchange(shared.held, false);
                 if (shared.open == 0 && shared.result != nullptr) {
                   Report(shared.starts, shared.result);
                   done = std::move(shared.done);
                 }
               }
               if (next) shared.next();
               if (done) done(absl::OkStatus());
             });
  }
  if (go_on) shared.next();
}

void StartedRuns::Finish(v1::StartRunsResponse* response, Done done) {
  Shared& shared = *shared_;
  {
    ports::MutexLock lock(&shared.mu);
    shared.result = response;
    if (shared.open > 0) {
      shared.done = std::move(done);
      return;
    }
    Report(shared.starts, response);
  }
  done(absl::OkStatus());
}

}  // namespace beamline::rpc
