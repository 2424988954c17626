// What an operator waits for, through the API alone.
//   operator_client SOCKET list COUNT      first pages: of the inbox, of dead letters, of runs
//   operator_client SOCKET decide COUNT    approves the oldest tasks, one after the other: from the
//                                          decision to the start of the step behind it
// Prints: the median of each list in milliseconds; or p50 and p99 in milliseconds.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "beamline/v1/approval.grpc.pb.h"
#include "beamline/v1/dead_letter.grpc.pb.h"
#include "beamline/v1/orchestrator.grpc.pb.h"

namespace {

namespace v1 = beamline::v1;
using Clock = std::chrono::steady_clock;

void Check(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "operator_client: %s\n", status.error_message().c_str());
  std::exit(1);
}

double Milliseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

class Operator {
 public:
  explicit Operator(const std::shared_ptr<grpc::Channel>& channel)
      : runs_(v1::OrchestratorService::NewStub(channel)),
        tasks_(v1::ApprovalService::NewStub(channel)),
        letters_(v1::DeadLetterService::NewStub(channel)) {}

  void List(int count) {
    std::printf("%.3f ", Median(count, [this] {
                  Page(*tasks_, &Tasks::ListTasks, v1::ListTasksRequest());
                }));
    std::printf("%.3f ", Median(count, [this] {
                  Page(*letters_, &Letters::ListDeadLetters, v1::ListDeadLettersRequest());
                }));
    std::printf("%.3f\n",
                Median(count, [this] { Page(*runs_, &Runs::ListRuns, v1::ListRunsRequest()); }));
  }

  void Decide(int count) {
    v1::ListTasksRequest request;
    request.set_page_size(count);
    const v1::ListTasksResponse page = Page(*tasks_, &Tasks::ListTasks, request);
    std::vector<double> times;
    for (const v1::TaskSummary& task : page.tasks()) times.push_back(DecideOne(task));
    if (times.empty()) Check({grpc::StatusCode::NOT_FOUND, "nothing waits"});
    std::sort(times.begin(), times.end());
    std::printf("%.3f %.3f\n", times[times.size() / 2], times[times.size() * 99 / 100]);
  }

 private:
  using Runs = v1::OrchestratorService::Stub;
  using Tasks = v1::ApprovalService::Stub;
  using Letters = v1::DeadLetterService::Stub;

  template <typename Stub, typename Request, typename Response>
  static Response Page(Stub& stub,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                    Response*),
                       const Request& request) {
    grpc::ClientContext context;
    Response response;
    Check((stub.*method)(&context, request, &response));
    return response;
  }

  static double Median(int count, const std::function<void()>& call) {
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
      const auto start = Clock::now();
      call();
      times.push_back(Milliseconds(start));
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  // Whoever watches the run sees that the step behind has started.
  double DecideOne(const v1::TaskSummary& task) {
    grpc::ClientContext watching;
    v1::StreamExecutionEventsRequest watch;
    watch.set_run_id(task.run_id());
    const auto stream = runs_->StreamExecutionEvents(&watching, watch);
    const auto await = [&](const auto& holds) {
      v1::StreamExecutionEventsResponse seen;
      while (stream->Read(&seen)) {
        if (std::any_of(seen.events().begin(), seen.events().end(), holds)) return;
      }
      Check(stream->Finish());
    };
    await([](const v1::ExecutionEvent& event) { return event.has_task_opened(); });
    v1::DecideTaskRequest decision;
    decision.set_task(task.task());
    decision.set_verdict(v1::VERDICT_APPROVE);
    decision.set_digest(task.digest());
    decision.set_allow_self(true);
    const auto start = Clock::now();
    Page(*tasks_, &Tasks::DecideTask, decision);
    await([](const v1::ExecutionEvent& event) { return event.has_attempt_started(); });
    const double time = Milliseconds(start);
    watching.TryCancel();
    return time;
  }

  const std::unique_ptr<Runs> runs_;
  const std::unique_ptr<Tasks> tasks_;
  const std::unique_ptr<Letters> letters_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: operator_client SOCKET list|decide COUNT\n");
    return 2;
  }
  Operator person(
      grpc::CreateChannel(std::string("unix:") + argv[1], grpc::InsecureChannelCredentials()));
  const int count = std::atoi(argv[3]);
  std::string(argv[2]) == "list" ? person.List(count) : person.Decide(count);
}
