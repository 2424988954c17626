// gRPC on connections that we accept ourselves, since it does not tell who is on the other end of
// a unix socket.
#include "daemon/rpc/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_posix.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "beamline/v1/admin.grpc.pb.h"
#include "beamline/v1/approval.grpc.pb.h"
#include "beamline/v1/dead_letter.grpc.pb.h"
#include "beamline/v1/flow.grpc.pb.h"
#include "beamline/v1/orchestrator.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/handshakes.h"
#include "daemon/rpc/peers.h"
#include "daemon/rpc/services.h"
#include "daemon/rpc/timers.h"
#include "daemon/rpc/tls_credentials.h"
#include "grpc/health/v1/health.pb.h"

namespace beamline::rpc {
namespace {

// A request's fields are checked against their own limits; gRPC refuses beyond this before it has
// the whole message in memory.
constexpr int kReceiveBytesMax = 10 << 20;
constexpr int kConcurrentCallsMax = 10'000;  // of one connection
constexpr int kSyncPollInterval_ms = 60'000;
constexpr size_t kReadThreads = 2;

// gRPC's callback threads sleep for 100 ms, deaf to everything, after every second in which they
// had nothing to do: the first call to an idle daemon would take up to 100 ms. A thread that did
// something within the last second does not, so something is done more often than that.
constexpr absl::Duration kHeartbeat = absl::Milliseconds(900);

// A connection of the network that has not shown a certificate by then is closed.
constexpr int kHandshakeTimeout_ms = 10'000;
// How often a client may ask over an open connection whether the daemon is still there.
constexpr int kClientPingInterval_ms = 30'000;

// The numbers that connections get: above what the daemon itself opens. Those of the unix socket
// and of the network have half each, so that neither takes what the other one needs.
struct Descriptors {
  int local, network, range;
};
Descriptors DescriptorRanges() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const int end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 65'536));
  const int range = (end - end / 4) / 2;
  return {end / 4, end / 4 + range, range};
}

}  // namespace

class Server::Impl {
 public:
  Impl(Served served, About about, Listener& listener, Network network,
       std::function<void(std::string)> warn)
      : about_(std::move(about)),
        listener_(listener),
        network_(std::move(network)),
        warn_(std::move(warn)),
        reads_(kReadThreads),
        answers_(1),
        words_(1),
        backend_{served.engine,
                 served.events,
                 served.flows,
                 served.blobs,
                 served.outputs,
                 served.clock,
                 reads_,
                 answers_,
                 timers_,
                 served.flow_changed,
                 served.workspace_of,
                 served.workers,
                 served.provision,
                 words_,
                 served.tasks,
                 served.groups},
        peers_(DescriptorRanges().local, DescriptorRanges().range),
        network_peers_(DescriptorRanges().network, DescriptorRanges().range),
        orchestrator_(MakeOrchestratorService(backend_, peers_)),
        flows_(MakeFlowService(backend_, peers_)),
        approvals_(MakeApprovalService(backend_, peers_)),
        workers_(MakeWorkerService(backend_, peers_)),
        letters_(MakeDeadLetterService(backend_, peers_)),
        admin_(MakeAdminService(backend_, peers_, about_)) {
    // Not JSON, and about nothing that the caller does not hear as well, but for handshakes.
    gpr_set_log_function([](gpr_log_func_args* line) { Handshakes::Hear(line->message); });
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // gRPC answers health checks without descriptors; linked in, ours let reflection describe them.
    grpc::health::v1::HealthCheckRequest::descriptor();
    grpc::ServerBuilder builder;
    builder.RegisterService(orchestrator_.get());
    builder.RegisterService(flows_.get());
    builder.RegisterService(approvals_.get());
    builder.RegisterService(workers_.get());
    builder.RegisterService(letters_.get());
    builder.RegisterService(admin_.get());
    builder.SetMaxReceiveMessageSize(kReceiveBytesMax);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kConcurrentCallsMax);
    // Worth its cost only where the other end may be far away.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, network_.listener != nullptr ? 1 : 0);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeout_ms);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kClientPingInterval_ms);
    // Only reflection is served by threads that block.
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::CQ_TIMEOUT_MSEC, kSyncPollInterval_ms);
    if (network_.listener != nullptr) {
      remote_acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
          network_.tls != nullptr ? MakeTlsCredentials(*network_.tls)
                                  : grpc::InsecureServerCredentials());
    }
    server_ = builder.BuildAndStart();
    SetServing(true);
    pulse_ = v1::OrchestratorService::NewStub(server_->InProcessChannel(grpc::ChannelArguments()));
    thread_ = std::thread([this] { Loop(); });
    if (network_.listener == nullptr) return;
    door_.emplace(
        network_, network_peers_, [this](int fd) { ServeRemote(fd); }, warn_);
  }

  ~Impl() { Stop(absl::ZeroDuration()); }

  void SetServing(bool serving) {
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    health->SetServingStatus(serving);
    // A named service is NOT_FOUND until it is spoken of.
    health->SetServingStatus(v1::OrchestratorService::service_full_name(), serving);
    health->SetServingStatus(v1::FlowService::service_full_name(), serving);
    health->SetServingStatus(v1::ApprovalService::service_full_name(), serving);
    health->SetServingStatus(v1::WorkerService::service_full_name(), serving);
    health->SetServingStatus(v1::DeadLetterService::service_full_name(), serving);
    health->SetServingStatus(v1::AdminService::service_full_name(), serving);
  }

  void Stop(absl::Duration grace) {
    if (!thread_.joinable()) return;
    stopping_ = true;
    door_.reset();
    listener_.Interrupt();
    thread_.join();
    server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
    server_->Wait();
    ports::MutexLock lock(&beat_mu_);
    const auto rests = [this]() ABSL_SHARED_LOCKS_REQUIRED(beat_mu_) { return !beating_; };
    beat_mu_.Await(rests);
  }

  Connections connections() {
    return {peers_.Connected() + network_peers_.Connected(),
            accepted_ + (door_ ? door_->accepted() : 0)};
  }

 private:
  void Loop() {
    absl::Time next_beat = absl::Now();
    while (!stopping_) {
      const absl::Duration wait = next_beat - absl::Now();
      if (wait <= absl::ZeroDuration() || wait > kHeartbeat) {  // longer: the clock was set back
        Beat();
        next_beat = absl::Now() + kHeartbeat;
        continue;
      }
      absl::StatusOr<std::optional<int>> connection = listener_.Accept(wait);
      if (!connection.ok()) {
        warn_(std::string(connection.status().message()));
        absl::SleepFor(absl::Milliseconds(100));  // until descriptors are free again
      } else if (connection->has_value()) {
        Serve(**connection);
      }
    }
  }

  void Serve(int connection) {
    absl::StatusOr<int> admitted = peers_.Admit(connection);
    if (!admitted.ok()) return warn_(std::string(admitted.status().message()));
    ++accepted_;
    grpc::AddInsecureChannelFromFd(server_.get(), *admitted);
  }

  void ServeRemote(int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    remote_acceptor_->HandleNewConnection(&connection);
  }

  void Beat() {
    {
      ports::MutexLock lock(&beat_mu_);
      if (std::exchange(beating_, true)) return;
    }
    beat_context_.emplace();
    pulse_->async()->Ping(&*beat_context_, &ping_, &pong_, [this](const grpc::Status&) {
      ports::MutexLock lock(&beat_mu_);
      beating_ = false;
    });
  }

  const About about_;
  Listener& listener_;
  const Network network_;
  const std::function<void(std::string)> warn_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> accepted_{0};

  Timers timers_;
  engine::Aside reads_, answers_, words_;
  const Backend backend_;
  Peers peers_, network_peers_;
  const std::unique_ptr<grpc::Service> orchestrator_, flows_, approvals_, workers_, letters_,
      admin_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> remote_acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<NetworkDoor> door_;

  std::unique_ptr<v1::OrchestratorService::Stub> pulse_;
  ports::Mutex beat_mu_;
  bool beating_ ABSL_GUARDED_BY(beat_mu_) = false;
  std::optional<grpc::ClientContext> beat_context_;
  v1::PingRequest ping_;
  v1::PingResponse pong_;

  std::thread thread_;
};

Server::Server(Served served, About about, Listener& listener, Network network,
               std::function<void(std::string)> warn)
    : impl_(std::make_unique<Impl>(std::move(served), std::move(about), listener,
                                   std::move(network), std::move(warn))) {}
Server::~Server() = default;
void Server::SetServing(bool serving) { impl_->SetServing(serving); }
void Server::Stop(absl::Duration grace) { impl_->Stop(grace); }
Server::Connections Server::connections() { return impl_->connections(); }

}  // namespace beamline::rpc
