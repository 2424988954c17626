// WorkerService on gRPC: one reactor for each worker that is attached.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "beamline/v1/worker.grpc.pb.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/hand_over.h"
#include "daemon/rpc/identity.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/services.h"
#include "daemon/rpc/worker_session.h"
#include "daemon/rpc/worker_status.h"

namespace beamline::rpc {
namespace {

using Context = grpc::CallbackServerContext;
using Stream = grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>;

// One message is read at a time, and one is on its way at most. Messages are put together by a
// thread beside the transport's and the engine's: while it is on its way there, the engine says
// more.
class AttachReactor : public Stream {
 public:
  AttachReactor(const Backend& backend, const Caller& caller)
      : door_(std::make_shared<Door>(this)),
        session_(std::make_shared<WorkerSession>(
            backend.workers, kTenant, caller.actor, BEAMLINE_VERSION,
            [door = door_, &words = backend.words] { words.Do([door] { door->Pump(); }); })) {
    hand_over_.Give();
    StartRead(&request_);
  }

 private:
  // Outlives the reactor where a thread is about to come in.
  struct Door {
    explicit Door(AttachReactor* r) : reactor(r) {}
    void Pump() {
      ports::MutexLock lock(&mu);
      if (reactor != nullptr) reactor->WriteNext();
    }
    ports::Mutex mu;
    AttachReactor* reactor ABSL_GUARDED_BY(mu);  // null once the call is finished
  };

  // REQUIRES: door_->mu is held.
  void WriteNext() {
    response_.Clear();
    if (!session_->Take(response_.mutable_words())) return;
    hand_over_.Give();
    StartWrite(&response_);
  }

  // An answered read is the only place where the stream ends, so that nothing is being heard then.
  // A stream that broke, or was cancelled, answers the read that waits.
  void OnReadDone(bool ok) override {
    hand_over_.Take();
    if (!ok) return End(absl::OkStatus());
    if (absl::Status heard = session_->Hear(request_.mutable_words()); !heard.ok()) {
      return End(heard);
    }
    if (session_->said_goodbye()) return End(absl::OkStatus());
    hand_over_.Give();
    StartRead(&request_);
  }

  void End(const absl::Status& status) {
    session_->Close();
    const std::shared_ptr<Door> door = door_;  // this may be gone once it is finished
    ports::MutexLock lock(&door->mu);
    door->reactor = nullptr;
    hand_over_.Give();
    Finish(ToGrpc(status));
  }

  void OnWriteDone(bool ok) override {
    hand_over_.Take();
    if (ok) door_->Pump();
  }

  void OnDone() override {
    hand_over_.Take();
    delete this;
  }

  HandOver hand_over_;
  const std::shared_ptr<Door> door_;
  const std::shared_ptr<WorkerSession> session_;
  v1::AttachRequest request_;
  v1::AttachResponse response_;
};

// A stream that ends at once.
class RefusedStream : public Stream {
 public:
  explicit RefusedStream(const absl::Status& status) { Finish(ToGrpc(status)); }

 private:
  void OnDone() override { delete this; }
};

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  WorkerService(const Backend& backend, const Peers& peers) : backend_(backend), peers_(peers) {}

  Stream* Attach(Context* context) override {
    const absl::StatusOr<Caller> caller = Identify(peers_, *context);
    if (!caller.ok()) return new RefusedStream(caller.status());
    return new AttachReactor(backend_, *caller);
  }

  grpc::ServerUnaryReactor* ListWorkers(Context* context, const v1::ListWorkersRequest*,
                                        v1::ListWorkersResponse* response) override {
    absl::Status known = Identify(peers_, *context).status();
    if (known.ok()) WriteWorkers(backend_.workers.Look(kTenant), response);
    return Answer(context, known);
  }

  grpc::ServerUnaryReactor* DrainWorker(Context* context, const v1::DrainWorkerRequest* request,
                                        v1::DrainWorkerResponse*) override {
    absl::Status status = Identify(peers_, *context).status();
    if (status.ok()) {
      status = backend_.workers.DrainWorker(kTenant, request->worker_id());
      if (absl::IsNotFound(status)) {
        status = Refusal(Reason::kWorkerNotFound, std::string(status.message()))
                     .With("worker_id", request->worker_id().substr(0, 128))
                     .Resource("worker", request->worker_id().substr(0, 128));
      }
    }
    return Answer(context, status);
  }

 private:
  static grpc::ServerUnaryReactor* Answer(Context* context, const absl::Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  const Backend& backend_;
  const Peers& peers_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeWorkerService(const Backend& backend, const Peers& peers) {
  return std::make_unique<WorkerService>(backend, peers);
}

}  // namespace beamline::rpc
