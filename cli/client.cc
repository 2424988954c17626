// Calls of the daemon by gRPC; see client.h.
#include "cli/client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <sys/random.h>

#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "beamline/v1/admin.grpc.pb.h"
#include "beamline/v1/approval.grpc.pb.h"
#include "beamline/v1/dead_letter.grpc.pb.h"
#include "beamline/v1/flow.grpc.pb.h"
#include "beamline/v1/orchestrator.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "cli/api_error.h"

namespace beamline::cli {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr int kReceiveBytesMax = 64 << 20;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) AttachDetails(status.error_details(), &result);
  return result;
}

void SetTimeout(absl::Duration timeout, grpc::ClientContext* context) {
  if (timeout == absl::InfiniteDuration()) return;
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
}

// One unary call of `method` on `stub`.
template <typename Response, typename Stub, typename Request>
absl::StatusOr<Response> Call(Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request, absl::Duration timeout = kCallTimeout) {
  grpc::ClientContext context;
  SetTimeout(timeout, &context);
  Response response;
  grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response;
}

// Reads `reader` to its end. `each` answers false to stop.
template <typename Response, typename Each>
absl::Status ReadAll(grpc::ClientContext& context, grpc::ClientReaderInterface<Response>& reader,
                     const Each& each) {
  Response response;
  bool enough = false;
  while (!enough && reader.Read(&response)) enough = !each(response);
  if (enough) context.TryCancel();
  grpc::Status status = reader.Finish();
  return enough ? absl::OkStatus() : FromGrpc(status);
}

}  // namespace

void CallStopper::Stop() {
  flowspec::MutexLock lock(&mu_);
  stopped_ = true;
  if (cancel_) cancel_();
  cancel_ = nullptr;
}

bool CallStopper::Arm(std::function<void()> cancel) {
  flowspec::MutexLock lock(&mu_);
  if (!stopped_) cancel_ = std::move(cancel);
  return !stopped_;
}

void CallStopper::Disarm() {
  flowspec::MutexLock lock(&mu_);
  cancel_ = nullptr;
}

struct Client::Stubs {
  using Runs = v1::OrchestratorService::Stub;
  using Flows = v1::FlowService::Stub;
  using Workers = v1::WorkerService::Stub;
  using Letters = v1::DeadLetterService::Stub;
  using Approvals = v1::ApprovalService::Stub;
  using Admin = v1::AdminService::Stub;
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : runs(channel),
        flows(channel),
        approvals(channel),
        workers(channel),
        letters(channel),
        admin(channel) {}
  Runs runs;
  Flows flows;
  Approvals approvals;
  Workers workers;
  Letters letters;
  Admin admin;
};

Client::Client(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kReceiveBytesMax);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");  // not the socket's path
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  // Despite its name, how long a connection that was accepted may take to answer: a daemon that
  // recovers many runs listens from the first moment on.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 60'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  stubs_ = std::make_unique<Stubs>(grpc::CreateCustomChannel(
      absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), arguments));
}

Client::Client(const std::string& address, const RemoteCredentials& credentials) {
  // What it says about handshakes is told in other words, and not between those of a command.
  gpr_set_log_function([](gpr_log_func_args*) {});
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kReceiveBytesMax);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);  // for one attempt to connect
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // A daemon that is gone without a word is noticed while a call waits for it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  std::shared_ptr<grpc::ChannelCredentials> channel = grpc::InsecureChannelCredentials();
  if (!credentials.cert.empty()) {
    arguments.SetSslTargetNameOverride(credentials.server_name);
    channel = grpc::SslCredentials({credentials.ca, credentials.key, credentials.cert});
  }
  stubs_ = std::make_unique<Stubs>(
      grpc::CreateCustomChannel(absl::StrCat("dns:///", address), channel, arguments));
}

Client::~Client() = default;

absl::StatusOr<v1::PingResponse> Client::Ping(absl::Duration timeout) {
  return Call(stubs_->runs, &Stubs::Runs::Ping, v1::PingRequest(), timeout);
}

absl::StatusOr<v1::StartRunResponse> Client::StartRun(const v1::StartRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::StartRun, request);
}

absl::StatusOr<v1::GetRunResponse> Client::GetRun(const std::string& run_id) {
  v1::GetRunRequest request;
  request.set_run_id(run_id);
  return Call(stubs_->runs, &Stubs::Runs::GetRun, request);
}

absl::StatusOr<v1::ListRunsResponse> Client::ListRuns(const v1::ListRunsRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::ListRuns, request);
}

absl::StatusOr<v1::WaitRunResponse> Client::WaitRun(const v1::WaitRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::WaitRun, request, absl::InfiniteDuration());
}

absl::StatusOr<v1::CancelRunResponse> Client::CancelRun(const v1::CancelRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::CancelRun, request);
}

absl::StatusOr<v1::SignalRunResponse> Client::SignalRun(const v1::SignalRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::SignalRun, request);
}

absl::Status Client::ResumeRun(const v1::ResumeRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::ResumeRun, request).status();
}

absl::StatusOr<v1::PauseRunResponse> Client::PauseRun(const v1::PauseRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::PauseRun, request);
}

absl::StatusOr<v1::RetryRunResponse> Client::RetryRun(const v1::RetryRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::RetryRun, request);
}

absl::StatusOr<v1::SkipStepResponse> Client::SkipStep(const v1::SkipStepRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::SkipStep, request);
}

absl::StatusOr<v1::ReplayRunResponse> Client::ReplayRun(const v1::ReplayRunRequest& request) {
  return Call(stubs_->runs, &Stubs::Runs::ReplayRun, request);
}

absl::Status Client::DeleteRun(const std::string& run_id) {
  v1::DeleteRunRequest request;
  request.set_request_id(NewRequestId());
  request.set_run_id(run_id);
  return Call(stubs_->runs, &Stubs::Runs::DeleteRun, request).status();
}

absl::StatusOr<std::string> Client::ResolveRun(const std::string& name) {
  v1::ResolveRunRequest request;
  request.set_name(name);
  auto response = Call(stubs_->runs, &Stubs::Runs::ResolveRun, request);
  if (!response.ok()) return response.status();
  return response->run_id();
}

absl::StatusOr<v1::ListDeadLettersResponse> Client::ListDeadLetters(
    const v1::ListDeadLettersRequest& request) {
  return Call(stubs_->letters, &Stubs::Letters::ListDeadLetters, request);
}

absl::StatusOr<v1::RetryDeadLettersResponse> Client::RetryDeadLetters(
    const v1::RetryDeadLettersRequest& request) {
  return Call(stubs_->letters, &Stubs::Letters::RetryDeadLetters, request);
}

absl::StatusOr<v1::DropDeadLettersResponse> Client::DropDeadLetters(
    const v1::DropDeadLettersRequest& request) {
  return Call(stubs_->letters, &Stubs::Letters::DropDeadLetters, request);
}

absl::StatusOr<v1::GetDeadLetterResponse> Client::GetDeadLetter(const std::string& id) {
  v1::GetDeadLetterRequest request;
  request.set_id(id);
  return Call(stubs_->letters, &Stubs::Letters::GetDeadLetter, request);
}

absl::StatusOr<v1::RegisterFlowResponse> Client::RegisterFlow(
    const v1::RegisterFlowRequest& request) {
  return Call(stubs_->flows, &Stubs::Flows::RegisterFlow, request);
}

absl::StatusOr<v1::GetFlowResponse> Client::GetFlow(const std::string& flow) {
  v1::GetFlowRequest request;
  request.set_flow(flow);
  return Call(stubs_->flows, &Stubs::Flows::GetFlow, request);
}

absl::StatusOr<v1::CheckFlowResponse> Client::CheckFlow(const v1::CheckFlowRequest& request) {
  return Call(stubs_->flows, &Stubs::Flows::CheckFlow, request);
}

absl::StatusOr<v1::ListFlowsResponse> Client::ListFlows(const v1::ListFlowsRequest& request) {
  return Call(stubs_->flows, &Stubs::Flows::ListFlows, request);
}

absl::StatusOr<v1::ListFlowVersionsResponse> Client::ListFlowVersions(
    const v1::ListFlowVersionsRequest& request) {
  return Call(stubs_->flows, &Stubs::Flows::ListFlowVersions, request);
}

absl::Status Client::DeleteFlow(const std::string& name) {
  v1::DeleteFlowRequest request;
  request.set_request_id(NewRequestId());
  request.set_name(name);
  return Call(stubs_->flows, &Stubs::Flows::DeleteFlow, request).status();
}

absl::StatusOr<v1::ListTasksResponse> Client::ListTasks(const v1::ListTasksRequest& request) {
  return Call(stubs_->approvals, &Stubs::Approvals::ListTasks, request);
}

absl::StatusOr<v1::GetTaskResponse> Client::GetTask(uint64_t task) {
  v1::GetTaskRequest request;
  request.set_task(task);
  return Call(stubs_->approvals, &Stubs::Approvals::GetTask, request);
}

absl::StatusOr<v1::DecideTaskResponse> Client::DecideTask(const v1::DecideTaskRequest& request) {
  return Call(stubs_->approvals, &Stubs::Approvals::DecideTask, request);
}

absl::Status Client::DelegateTask(const v1::DelegateTaskRequest& request) {
  return Call(stubs_->approvals, &Stubs::Approvals::DelegateTask, request).status();
}

absl::StatusOr<v1::GetDaemonStatusResponse> Client::GetDaemonStatus() {
  return Call(stubs_->admin, &Stubs::Admin::GetDaemonStatus, v1::GetDaemonStatusRequest());
}

absl::StatusOr<v1::GetActivityResponse> Client::GetActivity(const v1::GetActivityRequest& request) {
  return Call(stubs_->admin, &Stubs::Admin::GetActivity, request);
}

absl::Status Client::Shutdown(absl::Duration grace) {
  v1::ShutdownRequest request;
  request.set_request_id(NewRequestId());
  request.set_grace_ms(absl::ToInt64Milliseconds(grace));
  return Call(stubs_->admin, &Stubs::Admin::Shutdown, request).status();
}

absl::StatusOr<v1::ListWorkersResponse> Client::ListWorkers() {
  return Call(stubs_->workers, &Stubs::Workers::ListWorkers, v1::ListWorkersRequest());
}

absl::Status Client::DrainWorker(const std::string& id) {
  v1::DrainWorkerRequest request;
  request.set_request_id(NewRequestId());
  request.set_worker_id(id);
  return Call(stubs_->workers, &Stubs::Workers::DrainWorker, request).status();
}

absl::Status Client::StreamEvents(const v1::StreamExecutionEventsRequest& request,
                                  CallStopper* stopper,
                                  const std::function<bool(const EventBatch&)>& each) {
  grpc::ClientContext context;
  if (!stopper->Arm([&] { context.TryCancel(); })) return absl::CancelledError("stopped");
  auto reader = stubs_->runs.StreamExecutionEvents(&context, request);
  absl::Status status = ReadAll(
      context, *reader,
      [&](const v1::StreamExecutionEventsResponse& response) { return each(response.events()); });
  stopper->Disarm();
  return status;
}

absl::Status Client::TailOutput(const v1::TailOutputRequest& request, CallStopper* stopper,
                                const std::function<bool(const v1::TailOutputResponse&)>& each) {
  grpc::ClientContext context;
  if (!stopper->Arm([&] { context.TryCancel(); })) return absl::CancelledError("stopped");
  auto reader = stubs_->runs.TailOutput(&context, request);
  absl::Status status = ReadAll(context, *reader, each);
  stopper->Disarm();
  return status;
}

absl::StatusOr<std::string> Client::ReadBlob(const std::string& run_id, const std::string& blob_uri,
                                             size_t bytes_max) {
  grpc::ClientContext context;
  v1::ReadBlobRequest request;
  request.set_run_id(run_id);
  request.set_blob_uri(blob_uri);
  auto reader = stubs_->runs.ReadBlob(&context, request);
  std::string blob;
  bool fits = true;
  absl::Status status = ReadAll(context, *reader, [&](const v1::ReadBlobResponse& response) {
    blob += response.data();
    fits = blob.size() <= bytes_max;
    return fits;
  });
  if (!status.ok()) return status;
  if (!fits) return absl::ResourceExhaustedError(absl::StrCat("blob over ", bytes_max, " bytes"));
  return blob;
}

std::string NewRequestId() {
  std::string bytes(16, '\0');
  // 16 bytes are always given whole; before the pool is initialised the call waits.
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    bytes = absl::StrCat(absl::GetCurrentTimeNanos());
  }
  return absl::BytesToHexString(bytes);
}

}  // namespace beamline::cli
