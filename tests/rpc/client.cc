// A blocking gRPC client.
#include "tests/rpc/client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "absl/strings/cord.h"
#include "beamline/v1/admin.grpc.pb.h"
#include "beamline/v1/dead_letter.grpc.pb.h"
#include "beamline/v1/flow.grpc.pb.h"
#include "beamline/v1/orchestrator.grpc.pb.h"
#include "google/rpc/status.pb.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";

absl::Status FromGrpc(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) {
    result.SetPayload(kDetailsUrl, absl::Cord(status.error_details()));
  }
  return result;
}

// The wire form of one string field, all that health and reflection requests have: it spares
// generating their messages.
std::string StringField(int number, const std::string& text) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         std::string(1, static_cast<char>(text.size())) + text;
}

}  // namespace

struct Client::Stubs {
  explicit Stubs(const std::string& socket)
      : channel(MakeChannel(socket)),
        runs(v1::OrchestratorService::NewStub(channel)),
        flows(v1::FlowService::NewStub(channel)),
        letters(v1::DeadLetterService::NewStub(channel)),
        admin(v1::AdminService::NewStub(channel)) {}

  static std::shared_ptr<grpc::Channel> MakeChannel(const std::string& socket) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetMaxReceiveMessageSize(-1);
    return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  template <class Stub, class Request, class Response>
  static absl::StatusOr<Response> Call(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, absl::Duration limit = absl::Seconds(20)) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return FromGrpc(status);
    return response;
  }

  // Calls `method` with the bytes of one request; the bytes of the first response. On the wire a
  // unary call is a stream of one message each way.
  absl::StatusOr<std::string> Raw(const std::string& method, const std::string& request);

  using Runs = v1::OrchestratorService::Stub;
  using Flows = v1::FlowService::Stub;
  using Letters = v1::DeadLetterService::Stub;
  using Admin = v1::AdminService::Stub;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<Runs> runs;
  const std::unique_ptr<Flows> flows;
  const std::unique_ptr<Letters> letters;
  const std::unique_ptr<Admin> admin;
};

Client::Client(const std::string& socket) : stubs_(std::make_unique<Stubs>(socket)) {}
Client::~Client() = default;

absl::StatusOr<v1::StartRunResponse> Client::Start(const v1::StartRunRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::StartRun, request);
}

absl::StatusOr<v1::GetRunResponse> Client::Get(const std::string& run_id) {
  v1::GetRunRequest request;
  request.set_run_id(run_id);
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::GetRun, request);
}

absl::StatusOr<v1::ListRunsResponse> Client::List(const v1::ListRunsRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::ListRuns, request);
}

absl::StatusOr<v1::WaitRunResponse> Client::Wait(const v1::WaitRunRequest& request,
                                                 absl::Duration limit) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::WaitRun, request, limit);
}

absl::StatusOr<v1::CancelRunResponse> Client::Cancel(const std::string& run_id, bool force) {
  v1::CancelRunRequest request;
  request.set_run_id(run_id);
  request.set_reason("a test");
  request.set_force(force);
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::CancelRun, request);
}

absl::StatusOr<v1::RetryRunResponse> Client::Retry(const v1::RetryRunRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::RetryRun, request);
}

absl::StatusOr<v1::ReplayRunResponse> Client::Replay(const v1::ReplayRunRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::ReplayRun, request);
}

absl::StatusOr<v1::ListDeadLettersResponse> Client::DeadLetters(
    const v1::ListDeadLettersRequest& request) {
  return Stubs::Call(*stubs_->letters, &Stubs::Letters::ListDeadLetters, request);
}

absl::StatusOr<v1::RetryDeadLettersResponse> Client::RetryLetters(
    const v1::RetryDeadLettersRequest& request) {
  return Stubs::Call(*stubs_->letters, &Stubs::Letters::RetryDeadLetters, request);
}

absl::StatusOr<v1::DropDeadLettersResponse> Client::DropLetters(
    const v1::DropDeadLettersRequest& request) {
  return Stubs::Call(*stubs_->letters, &Stubs::Letters::DropDeadLetters, request);
}

absl::StatusOr<v1::SkipStepResponse> Client::Skip(const v1::SkipStepRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::SkipStep, request);
}

absl::StatusOr<v1::PauseRunResponse> Client::Pause(const v1::PauseRunRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::PauseRun, request);
}

absl::StatusOr<v1::ResumeRunResponse> Client::Resume(const v1::ResumeRunRequest& request) {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::ResumeRun, request);
}

absl::Status Client::Delete(const std::string& run_id) {
  v1::DeleteRunRequest request;
  request.set_run_id(run_id);
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::DeleteRun, request).status();
}

absl::StatusOr<v1::RegisterFlowResponse> Client::Register(const v1::RegisterFlowRequest& request) {
  return Stubs::Call(*stubs_->flows, &Stubs::Flows::RegisterFlow, request);
}

absl::StatusOr<v1::CheckFlowResponse> Client::CheckFlow(const v1::CheckFlowRequest& request) {
  return Stubs::Call(*stubs_->flows, &Stubs::Flows::CheckFlow, request);
}

absl::StatusOr<v1::GetFlowResponse> Client::GetFlow(const std::string& flow) {
  v1::GetFlowRequest request;
  request.set_flow(flow);
  return Stubs::Call(*stubs_->flows, &Stubs::Flows::GetFlow, request);
}

absl::StatusOr<v1::ListFlowsResponse> Client::ListFlows(const v1::ListFlowsRequest& request) {
  return Stubs::Call(*stubs_->flows, &Stubs::Flows::ListFlows, request);
}

absl::StatusOr<v1::ListFlowVersionsResponse> Client::ListVersions(
    const v1::ListFlowVersionsRequest& request) {
  return Stubs::Call(*stubs_->flows, &Stubs::Flows::ListFlowVersions, request);
}

absl::Status Client::DeleteFlow(const std::string& name, const std::string& request_id) {
  v1::DeleteFlowRequest request;
  request.set_name(name);
  request.set_request_id(request_id);
  return Stubs::Call(*stubs_->flows, &Stubs::Flows::DeleteFlow, request).status();
}

absl::StatusOr<std::string> Client::Resolve(const std::string& name) {
  v1::ResolveRunRequest request;
  request.set_name(name);
  auto response = Stubs::Call(*stubs_->runs, &Stubs::Runs::ResolveRun, request);
  if (!response.ok()) return response.status();
  return response->run_id();
}

absl::StatusOr<v1::PingResponse> Client::Ping() {
  return Stubs::Call(*stubs_->runs, &Stubs::Runs::Ping, v1::PingRequest());
}

absl::StatusOr<v1::GetDaemonStatusResponse> Client::Status() {
  return Stubs::Call(*stubs_->admin, &Stubs::Admin::GetDaemonStatus, v1::GetDaemonStatusRequest());
}

absl::StatusOr<v1::GetActivityResponse> Client::Activity(int runs_max) {
  v1::GetActivityRequest request;
  request.set_runs_max(runs_max);
  return Stubs::Call(*stubs_->admin, &Stubs::Admin::GetActivity, request);
}

absl::Status Client::Shutdown(absl::Duration grace) {
  v1::ShutdownRequest request;
  request.set_grace_ms(absl::ToInt64Milliseconds(grace));
  return Stubs::Call(*stubs_->admin, &Stubs::Admin::Shutdown, request).status();
}

absl::Status Client::Events(const v1::StreamExecutionEventsRequest& request,
                            const std::function<bool(const v1::ExecutionEvent&)>& each,
                            absl::Duration limit) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit));
  auto reader = stubs_->runs->StreamExecutionEvents(&context, request);
  v1::StreamExecutionEventsResponse response;
  bool more = true;
  while (more && reader->Read(&response)) {
    for (const v1::ExecutionEvent& event : response.events()) more = more && each(event);
  }
  if (!more) context.TryCancel();
  return FromGrpc(reader->Finish());
}

absl::StatusOr<std::vector<v1::TailOutputResponse>> Client::Output(
    const v1::TailOutputRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  auto reader = stubs_->runs->TailOutput(&context, request);
  std::vector<v1::TailOutputResponse> chunks;
  v1::TailOutputResponse chunk;
  while (reader->Read(&chunk)) chunks.push_back(chunk);
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return FromGrpc(status);
  return chunks;
}

absl::StatusOr<std::string> Client::Blob(const std::string& run_id, const std::string& uri) {
  grpc::ClientContext context;
  v1::ReadBlobRequest request;
  request.set_run_id(run_id);
  request.set_blob_uri(uri);
  auto reader = stubs_->runs->ReadBlob(&context, request);
  std::string content;
  v1::ReadBlobResponse piece;
  while (reader->Read(&piece)) content += piece.data();
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return FromGrpc(status);
  return content;
}

absl::StatusOr<std::string> Client::Stubs::Raw(const std::string& method,
                                               const std::string& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const grpc::internal::RpcMethod rpc(method.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING,
                                      channel);
  grpc::Slice slice(request);
  const grpc::ByteBuffer out(&slice, 1);
  grpc::ByteBuffer in;
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> call(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel.get(), rpc, &context));
  call->Write(out);
  call->WritesDone();
  call->Read(&in);
  grpc::ByteBuffer rest;
  while (call->Read(&rest)) rest.Clear();
  const grpc::Status status = call->Finish();
  if (!status.ok()) return FromGrpc(status);
  std::vector<grpc::Slice> slices;
  in.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& s : slices)
    bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return bytes;
}

absl::StatusOr<int> Client::Health(const std::string& service) {
  auto response = stubs_->Raw("/grpc.health.v1.Health/Check", StringField(1, service));
  if (!response.ok()) return response.status();
  return response->size() == 2 ? (*response)[1] : 0;  // field 1, a varint
}

absl::StatusOr<std::vector<std::string>> Client::ReflectedServices() {
  // ServerReflectionRequest.list_services = 7; names are printable, so that they can be cut out.
  auto response = stubs_->Raw("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                              StringField(7, "*"));
  if (!response.ok()) return response.status();
  std::vector<std::string> names(1);
  for (char c : *response) {
    if (c > ' ' && c != 127)
      names.back() += c;
    else if (!names.back().empty())
      names.emplace_back();
  }
  return names;
}

absl::StatusOr<std::string> Client::StartFlow(const std::string& source) {
  v1::StartRunRequest request;
  request.set_flow_source(source);
  auto response = Start(request);
  if (!response.ok()) return response.status();
  return response->run_id();
}

v1::Status Client::WaitFor(const std::string& run_id) {
  v1::WaitRunRequest request;
  request.set_run_id(run_id);
  auto response = Wait(request);
  return response.ok() ? response->status() : v1::STATUS_UNSPECIFIED;
}

std::vector<v1::ExecutionEvent> Client::AllEvents(const std::string& run_id, uint64_t after_seq) {
  v1::StreamExecutionEventsRequest request;
  request.set_run_id(run_id);
  request.set_after_seq(after_seq);
  request.set_follow(true);
  std::vector<v1::ExecutionEvent> events;
  const absl::Status status = Events(request, [&](const v1::ExecutionEvent& event) {
    events.push_back(event);
    return true;
  });
  if (!status.ok()) events.clear();
  return events;
}

Refused DetailsOf(const absl::Status& status) {
  Refused refused;
  google::rpc::Status details;
  const absl::optional<absl::Cord> payload = status.GetPayload(kDetailsUrl);
  if (!payload || !details.ParseFromString(std::string(*payload))) return refused;
  for (const google::protobuf::Any& any : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&info)) {
      refused.reason = info.reason();
      refused.domain = info.domain();
      refused.metadata.assign(info.metadata().begin(), info.metadata().end());
    } else if (any.UnpackTo(&bad_request)) {
      refused.violations.assign(bad_request.field_violations().begin(),
                                bad_request.field_violations().end());
    } else if (any.UnpackTo(&retry)) {
      refused.has_retry = retry.retry_delay().seconds() > 0 || retry.retry_delay().nanos() > 0;
    }
  }
  return refused;
}

std::string ReasonOf(const absl::Status& status) { return DetailsOf(status).reason; }

}  // namespace beamline::rpc_testing
