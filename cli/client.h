// The daemon as this tool sees it: one method per call of the wire contract that a command needs,
// over the unix socket or the network. gRPC stays behind this header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/admin.pb.h"
#include "beamline/v1/approval.pb.h"
#include "beamline/v1/dead_letter.pb.h"
#include "beamline/v1/flow.pb.h"
#include "beamline/v1/orchestrator.pb.h"
#include "beamline/v1/worker.pb.h"
#include "flowspec/mutex.h"

namespace beamline::cli {

// Ends a streaming call from another thread. May be used before, during and after the call.
class CallStopper {
 public:
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class Client;
  // Returns false if it was stopped already. `cancel` is called at most once, until Disarm.
  bool Arm(std::function<void()> cancel) ABSL_LOCKS_EXCLUDED(mu_);
  void Disarm() ABSL_LOCKS_EXCLUDED(mu_);

  flowspec::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::function<void()> cancel_ ABSL_GUARDED_BY(mu_);
};

// One or more events, in order.
using EventBatch = google::protobuf::RepeatedPtrField<v1::ExecutionEvent>;

// What a connection over the network is made with.
struct RemoteCredentials {
  std::string cert, key, ca;  // PEM; all empty: plain TCP
  std::string server_name;    // that the daemon's certificate must have
};

// Thread-safe. Every error carries the daemon's google.rpc.Status, see api_error.h; a daemon that
// does not answer is Unavailable. Calls that do not wait by their nature end after 30 s.
class Client {
 public:
  // Does not connect yet; the first call does.
  explicit Client(const std::string& socket);
  // `address`: "HOST:PORT".
  Client(const std::string& address, const RemoteCredentials& credentials);
  ~Client();

  absl::StatusOr<v1::PingResponse> Ping(absl::Duration timeout);
  absl::StatusOr<v1::StartRunResponse> StartRun(const v1::StartRunRequest& request);
  absl::StatusOr<v1::GetRunResponse> GetRun(const std::string& run_id);
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request);
  absl::StatusOr<v1::WaitRunResponse> WaitRun(const v1::WaitRunRequest& request);
  absl::StatusOr<v1::CancelRunResponse> CancelRun(const v1::CancelRunRequest& request);
  absl::StatusOr<v1::SignalRunResponse> SignalRun(const v1::SignalRunRequest& request);
  absl::Status ResumeRun(const v1::ResumeRunRequest& request);
  absl::StatusOr<v1::PauseRunResponse> PauseRun(const v1::PauseRunRequest& request);
  absl::StatusOr<v1::RetryRunResponse> RetryRun(const v1::RetryRunRequest& request);
  absl::StatusOr<v1::SkipStepResponse> SkipStep(const v1::SkipStepRequest& request);
  absl::StatusOr<v1::ReplayRunResponse> ReplayRun(const v1::ReplayRunRequest& request);
  absl::Status DeleteRun(const std::string& run_id);
  // The id of the run that a person named: an id, a unique part of one, "@latest", …
  absl::StatusOr<std::string> ResolveRun(const std::string& name);

  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(
      const v1::ListDeadLettersRequest& request);
  absl::StatusOr<v1::GetDeadLetterResponse> GetDeadLetter(const std::string& id);
  absl::StatusOr<v1::RetryDeadLettersResponse> RetryDeadLetters(
      const v1::RetryDeadLettersRequest& request);
  absl::StatusOr<v1::DropDeadLettersResponse> DropDeadLetters(
      const v1::DropDeadLettersRequest& request);

  absl::StatusOr<v1::RegisterFlowResponse> RegisterFlow(const v1::RegisterFlowRequest& request);
  // `flow`: "name", "name@sha256:DIGEST" or "sha256:DIGEST".
  absl::StatusOr<v1::GetFlowResponse> GetFlow(const std::string& flow);
  absl::StatusOr<v1::ListFlowsResponse> ListFlows(const v1::ListFlowsRequest& request);
  absl::StatusOr<v1::ListFlowVersionsResponse> ListFlowVersions(
      const v1::ListFlowVersionsRequest& request);
  absl::Status DeleteFlow(const std::string& name);
  absl::StatusOr<v1::CheckFlowResponse> CheckFlow(const v1::CheckFlowRequest& request);

  absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request);
  absl::StatusOr<v1::GetTaskResponse> GetTask(uint64_t task);
  absl::StatusOr<v1::DecideTaskResponse> DecideTask(const v1::DecideTaskRequest& request);
  absl::Status DelegateTask(const v1::DelegateTaskRequest& request);

  absl::StatusOr<v1::GetDaemonStatusResponse> GetDaemonStatus();
  absl::StatusOr<v1::GetActivityResponse> GetActivity(const v1::GetActivityRequest& request);
  absl::Status Shutdown(absl::Duration grace);

  absl::StatusOr<v1::ListWorkersResponse> ListWorkers();
  absl::Status DrainWorker(const std::string& id);

  // Calls `each` for every batch of events or chunk, on the calling thread, until the stream ends,
  // `each` answers false (Ok), or `stopper` was stopped (Cancelled).
  absl::Status StreamEvents(const v1::StreamExecutionEventsRequest& request, CallStopper* stopper,
                            const std::function<bool(const EventBatch&)>& each);
  absl::Status TailOutput(const v1::TailOutputRequest& request, CallStopper* stopper,
                          const std::function<bool(const v1::TailOutputResponse&)>& each);

  // ResourceExhausted if the blob is larger than `bytes_max`.
  absl::StatusOr<std::string> ReadBlob(const std::string& run_id, const std::string& blob_uri,
                                       size_t bytes_max);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

// A fresh id for a request that changes something, so that it can be repeated safely: 32 hex
// digits.
std::string NewRequestId();

}  // namespace beamline::cli
