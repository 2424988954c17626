// The daemon's services for tests: one blocking method per call, errors as statuses with details.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/admin.pb.h"
#include "beamline/v1/dead_letter.pb.h"
#include "beamline/v1/flow.pb.h"
#include "beamline/v1/orchestrator.pb.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::rpc_testing {

class Client {
 public:
  explicit Client(const std::string& socket);
  ~Client();

  absl::StatusOr<v1::StartRunResponse> Start(const v1::StartRunRequest& request);
  absl::StatusOr<v1::GetRunResponse> Get(const std::string& run_id);
  absl::StatusOr<v1::ListRunsResponse> List(const v1::ListRunsRequest& request);
  // `limit`: the call's deadline.
  absl::StatusOr<v1::WaitRunResponse> Wait(const v1::WaitRunRequest& request,
                                           absl::Duration limit = absl::Seconds(20));
  absl::StatusOr<v1::CancelRunResponse> Cancel(const std::string& run_id, bool force = false);
  absl::StatusOr<v1::RetryRunResponse> Retry(const v1::RetryRunRequest& request);
  absl::StatusOr<v1::ReplayRunResponse> Replay(const v1::ReplayRunRequest& request);
  absl::StatusOr<v1::ListDeadLettersResponse> DeadLetters(
      const v1::ListDeadLettersRequest& request);
  absl::StatusOr<v1::RetryDeadLettersResponse> RetryLetters(
      const v1::RetryDeadLettersRequest& request);
  absl::StatusOr<v1::DropDeadLettersResponse> DropLetters(
      const v1::DropDeadLettersRequest& request);
  absl::StatusOr<v1::SkipStepResponse> Skip(const v1::SkipStepRequest& request);
  absl::StatusOr<v1::PauseRunResponse> Pause(const v1::PauseRunRequest& request);
  absl::StatusOr<v1::ResumeRunResponse> Resume(const v1::ResumeRunRequest& request);
  absl::Status Delete(const std::string& run_id);
  absl::StatusOr<std::string> Resolve(const std::string& name);
  absl::StatusOr<v1::RegisterFlowResponse> Register(const v1::RegisterFlowRequest& request);
  absl::StatusOr<v1::GetFlowResponse> GetFlow(const std::string& flow);
  absl::StatusOr<v1::ListFlowsResponse> ListFlows(const v1::ListFlowsRequest& request);
  absl::StatusOr<v1::ListFlowVersionsResponse> ListVersions(
      const v1::ListFlowVersionsRequest& request);
  absl::StatusOr<v1::CheckFlowResponse> CheckFlow(const v1::CheckFlowRequest& request);
  absl::Status DeleteFlow(const std::string& name, const std::string& request_id = "");
  absl::StatusOr<v1::PingResponse> Ping();
  absl::StatusOr<v1::GetDaemonStatusResponse> Status();
  absl::StatusOr<v1::GetActivityResponse> Activity(int runs_max = 0);
  absl::Status Shutdown(absl::Duration grace);

  // `each` answers false to end the stream from this side.
  absl::Status Events(const v1::StreamExecutionEventsRequest& request,
                      const std::function<bool(const v1::ExecutionEvent&)>& each,
                      absl::Duration limit = absl::Seconds(20));
  absl::StatusOr<std::vector<v1::TailOutputResponse>> Output(const v1::TailOutputRequest& request);
  absl::StatusOr<std::string> Blob(const std::string& run_id, const std::string& uri);

  // grpc.health.v1: 1 is SERVING. NotFound: no such service.
  absl::StatusOr<int> Health(const std::string& service);
  // The names that server reflection lists.
  absl::StatusOr<std::vector<std::string>> ReflectedServices();

  // Shorthands.
  absl::StatusOr<std::string> StartFlow(const std::string& source);  // the run's id
  v1::Status WaitFor(const std::string& run_id);  // the end; UNSPECIFIED on an error
  std::vector<v1::ExecutionEvent> AllEvents(const std::string& run_id, uint64_t after_seq = 0);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

// What a refusal says to programs.
struct Refused {
  std::string reason, domain;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<google::rpc::BadRequest::FieldViolation> violations;
  bool has_retry = false;
};
Refused DetailsOf(const absl::Status& status);
std::string ReasonOf(const absl::Status& status);

}  // namespace beamline::rpc_testing
