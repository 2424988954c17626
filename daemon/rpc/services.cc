// Callback API: a call holds no thread while it waits.
#include "daemon/rpc/services.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "beamline/v1/admin.grpc.pb.h"
#include "beamline/v1/flow.grpc.pb.h"
#include "beamline/v1/orchestrator.grpc.pb.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/activity.h"
#include "daemon/rpc/answer.h"
#include "daemon/rpc/blob_feed.h"
#include "daemon/rpc/check_flow.h"
#include "daemon/rpc/event_feed.h"
#include "daemon/rpc/flows.h"
#include "daemon/rpc/hand_over.h"
#include "daemon/rpc/identity.h"
#include "daemon/rpc/intervene.h"
#include "daemon/rpc/orchestrator.h"
#include "daemon/rpc/output_feed.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/replay_run.h"
#include "daemon/rpc/signal_run.h"
#include "daemon/rpc/start_run.h"
#include "daemon/rpc/start_runs.h"
#include "daemon/rpc/wait_run.h"

namespace beamline::rpc {

using Context = grpc::CallbackServerContext;

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status refusal = Explain(status);
  return grpc::Status(static_cast<grpc::StatusCode>(refusal.code()), std::string(refusal.message()),
                      DetailsOf(refusal));
}

namespace {

// A unary call that waits, and is let go when the client is.
class WaitReactor : public grpc::ServerUnaryReactor {
 public:
  WaitReactor(const Backend& backend, const v1::WaitRunRequest& request,
              v1::WaitRunResponse* response)
      : call_(WaitRun(backend, request, response, [this](const absl::Status& status) {
          hand_over_.Give();
          Finish(ToGrpc(status));
        })) {
    hand_over_.Give();
  }

 private:
  void OnCancel() override {
    hand_over_.Take();
    call_->Cancel();
    hand_over_.Give();
  }
  void OnDone() override {
    hand_over_.Take();
    delete this;
  }

  HandOver hand_over_;
  const std::shared_ptr<Call> call_;
};

// Reads one start after the other; answers when the client has sent its last.
class StartRunsReactor : public grpc::ServerReadReactor<v1::StartRunsRequest> {
 public:
  StartRunsReactor(const Backend& backend, Caller caller, v1::StartRunsResponse* response)
      : response_(response),
        runs_(std::make_shared<StartedRuns>(backend, std::move(caller),
                                            [this] { StartRead(&request_); })) {
    StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (ok) return runs_->Add(std::move(*request_.mutable_start()));
    runs_->Finish(response_, [this](const absl::Status& status) { Finish(ToGrpc(status)); });
  }
  void OnDone() override { delete this; }

  v1::StartRunsResponse* const response_;
  v1::StartRunsRequest request_;
  const std::shared_ptr<StartedRuns> runs_;
};

// A client's stream that ends at once.
class RefusedStarts : public grpc::ServerReadReactor<v1::StartRunsRequest> {
 public:
  explicit RefusedStarts(const absl::Status& status) { Finish(ToGrpc(status)); }

 private:
  void OnDone() override { delete this; }
};

// Sends what a feed gives: one message in flight, the next one pulled when that is gone. Pulling is
// done by the threads for reading; whoever sets `busy_` is the one who goes on.
template <class Response>
class StreamReactor : public grpc::ServerWriteReactor<Response> {
 public:
  // `make(wake)` makes the feed.
  template <class Make>
  StreamReactor(engine::Aside& reads, const Make& make)
      : reads_(reads), feed_(make([this] { OnWake(); })) {
    OnWake();
  }

 private:
  void OnWake() {
    {
      ports::MutexLock lock(&mu_);
      if (std::exchange(busy_, true)) {
        again_ = true;
        return;
      }
    }
    reads_.Do([this] { Pump(); });
  }

  // REQUIRES, as for Pump: busy_ is ours. This may be gone once it has returned.
  void End(const grpc::Status& status) {
    hand_over_.Give();
    this->Finish(status);
  }

  void Pump() {
    while (true) {
      if (Cancelled()) return End(grpc::Status::CANCELLED);
      response_.Clear();
      const absl::StatusOr<Pulled> pulled = feed_->Pull(&response_);
      if (!pulled.ok()) return End(ToGrpc(pulled.status()));
      if (*pulled == Pulled::kEnd) return End(grpc::Status::OK);
      if (*pulled == Pulled::kMessage) {
        hand_over_.Give();
        return this->StartWrite(&response_);
      }
      Response().Swap(&response_);  // nothing of the last message is kept while waiting
      ports::MutexLock lock(&mu_);
      if (!std::exchange(again_, false) && !cancelled_) {
        busy_ = false;
        return;
      }
    }
  }

  bool Cancelled() {
    ports::MutexLock lock(&mu_);
    return cancelled_;
  }

  void OnWriteDone(bool ok) override {
    hand_over_.Take();
    if (!ok) return End(grpc::Status::CANCELLED);
    reads_.Do([this] { Pump(); });
  }

  void OnCancel() override {
    {
      ports::MutexLock lock(&mu_);
      cancelled_ = true;
    }
    OnWake();
    hand_over_.Give();
  }

  void OnDone() override {
    hand_over_.Take();
    delete this;
  }

  engine::Aside& reads_;
  HandOver hand_over_;
  ports::Mutex mu_;
  bool busy_ ABSL_GUARDED_BY(mu_) = false;   // pulling, writing or finished
  bool again_ ABSL_GUARDED_BY(mu_) = false;  // woken meanwhile
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  Response response_;
  const std::unique_ptr<Feed<Response>> feed_;  // last: gone first, and with it who may wake
};

// A stream that ends at once.
template <class Response>
class RefusedStream : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const absl::Status& status) {
    hand_over_.Give();
    this->Finish(ToGrpc(status));
  }

 private:
  void OnDone() override {
    hand_over_.Take();
    delete this;
  }

  HandOver hand_over_;
};

class OrchestratorService final : public v1::OrchestratorService::CallbackService {
 public:
  OrchestratorService(const Backend& backend, const Peers& peers)
      : backend_(backend), peers_(peers) {}

  grpc::ServerUnaryReactor* StartRun(Context* context, const v1::StartRunRequest* request,
                                     v1::StartRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::StartRun(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* GetRun(Context* context, const v1::GetRunRequest* request,
                                   v1::GetRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::GetRun(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* ListRuns(Context* context, const v1::ListRunsRequest* request,
                                     v1::ListRunsResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::ListRuns(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* WaitRun(Context* context, const v1::WaitRunRequest* request,
                                    v1::WaitRunResponse* response) override {
    if (absl::Status known = Identify(peers_, *context).status(); !known.ok()) {
      return Answer(peers_, context, [&](const Caller&, const Done& done) { done(known); });
    }
    return new WaitReactor(backend_, *request, response);
  }

  grpc::ServerUnaryReactor* CancelRun(Context* context, const v1::CancelRunRequest* request,
                                      v1::CancelRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::CancelRun(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerReadReactor<v1::StartRunsRequest>* StartRuns(
      Context* context, v1::StartRunsResponse* response) override {
    absl::StatusOr<Caller> caller = Identify(peers_, *context);
    if (!caller.ok()) return new RefusedStarts(caller.status());
    return new StartRunsReactor(backend_, *std::move(caller), response);
  }

  grpc::ServerUnaryReactor* SignalRun(Context* context, const v1::SignalRunRequest* request,
                                      v1::SignalRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::SignalRun(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* ResumeRun(Context* context, const v1::ResumeRunRequest* request,
                                      v1::ResumeRunResponse*) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::ResumeRun(backend_, caller, *request, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* PauseRun(Context* context, const v1::PauseRunRequest* request,
                                     v1::PauseRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::PauseRun(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* RetryRun(Context* context, const v1::RetryRunRequest* request,
                                     v1::RetryRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::RetryRun(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* SkipStep(Context* context, const v1::SkipStepRequest* request,
                                     v1::SkipStepResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::SkipStep(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* ReplayRun(Context* context, const v1::ReplayRunRequest* request,
                                      v1::ReplayRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::ReplayRun(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* DeleteRun(Context* context, const v1::DeleteRunRequest* request,
                                      v1::DeleteRunResponse*) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::DeleteRun(backend_, *request, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* ResolveRun(Context* context, const v1::ResolveRunRequest* request,
                                       v1::ResolveRunResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::ResolveRun(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerWriteReactor<v1::StreamExecutionEventsResponse>* StreamExecutionEvents(
      Context* context, const v1::StreamExecutionEventsRequest* request) override {
    return Stream<v1::StreamExecutionEventsResponse>(
        context, [&](Wake wake) { return MakeEventFeed(backend_, *request, std::move(wake)); });
  }

  grpc::ServerWriteReactor<v1::TailOutputResponse>* TailOutput(
      Context* context, const v1::TailOutputRequest* request) override {
    return Stream<v1::TailOutputResponse>(
        context, [&](Wake wake) { return MakeOutputFeed(backend_, *request, std::move(wake)); });
  }

  grpc::ServerWriteReactor<v1::ReadBlobResponse>* ReadBlob(
      Context* context, const v1::ReadBlobRequest* request) override {
    return Stream<v1::ReadBlobResponse>(
        context, [&](const Wake&) { return MakeBlobFeed(backend_, *request); });
  }

  // Needs no identity: it says nothing that the connection itself does not.
  grpc::ServerUnaryReactor* Ping(Context* context, const v1::PingRequest*,
                                 v1::PingResponse* response) override {
    rpc::Ping(response);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  template <class Response, class Make>
  grpc::ServerWriteReactor<Response>* Stream(const Context* context, const Make& make) {
    if (absl::Status known = Identify(peers_, *context).status(); !known.ok()) {
      return new RefusedStream<Response>(known);
    }
    return new StreamReactor<Response>(backend_.reads, make);
  }

  const Backend& backend_;
  const Peers& peers_;
};

class FlowService final : public v1::FlowService::CallbackService {
 public:
  FlowService(const Backend& backend, const Peers& peers) : backend_(backend), peers_(peers) {}

  grpc::ServerUnaryReactor* RegisterFlow(Context* context, const v1::RegisterFlowRequest* request,
                                         v1::RegisterFlowResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::RegisterFlow(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* GetFlow(Context* context, const v1::GetFlowRequest* request,
                                    v1::GetFlowResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::GetFlow(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* ListFlows(Context* context, const v1::ListFlowsRequest* request,
                                      v1::ListFlowsResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::ListFlows(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* CheckFlow(Context* context, const v1::CheckFlowRequest* request,
                                      v1::CheckFlowResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::CheckFlow(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* ListFlowVersions(Context* context,
                                             const v1::ListFlowVersionsRequest* request,
                                             v1::ListFlowVersionsResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::ListFlowVersions(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* DeleteFlow(Context* context, const v1::DeleteFlowRequest* request,
                                       v1::DeleteFlowResponse*) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::DeleteFlow(backend_, caller, *request, std::move(done));
    });
  }

 private:
  const Backend& backend_;
  const Peers& peers_;
};

class AdminService final : public v1::AdminService::CallbackService {
 public:
  AdminService(const Backend& backend, const Peers& peers, const About& about)
      : backend_(backend), peers_(peers), about_(about) {}

  grpc::ServerUnaryReactor* GetDaemonStatus(Context* context, const v1::GetDaemonStatusRequest*,
                                            v1::GetDaemonStatusResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, const Done& done) {
      rpc::GetDaemonStatus(backend_, about_, response);
      done(absl::OkStatus());
    });
  }

  grpc::ServerUnaryReactor* GetActivity(Context* context, const v1::GetActivityRequest* request,
                                        v1::GetActivityResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::GetActivity(backend_, about_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* Shutdown(Context* context, const v1::ShutdownRequest* request,
                                     v1::ShutdownResponse*) override {
    return Answer(peers_, context, [&](const Caller& caller, const Done& done) {
      done(rpc::Shutdown(about_, caller, *request));
    });
  }

 private:
  const Backend& backend_;
  const Peers& peers_;
  const About& about_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeOrchestratorService(const Backend& backend, const Peers& peers) {
  return std::make_unique<OrchestratorService>(backend, peers);
}

std::unique_ptr<grpc::Service> MakeFlowService(const Backend& backend, const Peers& peers) {
  return std::make_unique<FlowService>(backend, peers);
}

std::unique_ptr<grpc::Service> MakeAdminService(const Backend& backend, const Peers& peers,
                                                const About& about) {
  return std::make_unique<AdminService>(backend, peers, about);
}

}  // namespace beamline::rpc
