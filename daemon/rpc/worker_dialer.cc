// The same session as behind Attach; only the transport's roles are swapped.
#include "daemon/rpc/worker_dialer.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "daemon/engine/aside.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/backend.h"
#include "daemon/rpc/hand_over.h"
#include "daemon/rpc/worker_session.h"

namespace beamline::rpc {
namespace {

using Stub = v1::StepExecutorService::Stub;

constexpr absl::Duration kPauseMin = absl::Milliseconds(100);
constexpr absl::Duration kPauseMax = absl::Seconds(10);
constexpr std::chrono::seconds kDescribeLimit{5};
constexpr int kReceiveBytesMax = 6 << 20;
// A worker that is called attempt by attempt says nothing between: its calls are its life.
constexpr absl::Duration kAliveInterval = absl::Milliseconds(250);

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

WorkerWords One(v1::WorkerWord word) {
  WorkerWords words;
  words.Add(std::move(word));
  return words;
}

// Attempts as calls. Thread-safe.
class UnaryCalls : public std::enable_shared_from_this<UnaryCalls> {
 public:
  UnaryCalls(Stub& stub, std::shared_ptr<WorkerSession> session)
      : stub_(stub), session_(std::move(session)) {}

  // Breaks off what is under way, and waits for it.
  void BreakOff() {
    ports::MutexLock lock(&mu_);
    for (auto& [epoch, call] : calls_) call->context.TryCancel();
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return calls_.empty(); };
    mu_.Await(none);
  }

  void Say(DaemonWords* words) {
    for (v1::DaemonWord& word : *words) {
      if (word.has_assign()) Begin(word.mutable_assign());
      if (word.has_cancel()) Cancel(word.cancel());
    }
  }

  absl::Status Hear(v1::WorkerWord word) {
    WorkerWords words = One(std::move(word));
    ports::MutexLock lock(&hear_mu_);
    return session_->Hear(&words);
  }

  bool lost() const { return lost_; }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::ExecuteStepRequest request;
    v1::ExecuteStepResponse response;
    HandOver hand_over;
  };
  static std::string NameOf(const v1::AttemptRef& ref, uint64_t epoch) {
    return absl::StrCat(ref.run_id(), "/", ref.path(), "/", epoch);
  }

  void Begin(v1::Assign* assign) {
    auto call = std::make_shared<Call>();
    call->request.mutable_assign()->Swap(assign);
    const v1::Assign& begun = call->request.assign();
    v1::WorkerWord accept;
    *accept.mutable_accept()->mutable_ref() = begun.ref();
    accept.mutable_accept()->set_lease_epoch(begun.lease_epoch());
    Hear(std::move(accept)).IgnoreError();
    const std::string name = NameOf(begun.ref(), begun.lease_epoch());
    {
      ports::MutexLock lock(&mu_);
      calls_.emplace(name, call);
    }
    call->hand_over.Give();
    stub_.async()->ExecuteStep(&call->context, &call->request, &call->response,
                               [self = shared_from_this(), call, name](const grpc::Status& status) {
                                 call->hand_over.Take();
                                 self->End(*call, status);
                                 ports::MutexLock lock(&self->mu_);
                                 self->calls_.erase(name);
                               });
  }

  // A call that failed leaves the outcome unknown: accepted, and given back.
  void End(Call& call, const grpc::Status& status) {
    const v1::Assign& assign = call.request.assign();
    v1::WorkerWord word;
    if (status.ok()) {
      word.mutable_result()->Swap(call.response.mutable_result());
      *word.mutable_result()->mutable_ref() = assign.ref();
      word.mutable_result()->set_lease_epoch(assign.lease_epoch());
    } else {
      *word.mutable_reject()->mutable_ref() = assign.ref();
      word.mutable_reject()->set_lease_epoch(assign.lease_epoch());
      word.mutable_reject()->set_reason(status.error_message());
    }
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) {
      return Hear(std::move(word)).IgnoreError();
    }
    // Nobody is there: what it has is unknown, and it is given nothing more.
    ports::MutexLock lock(&hear_mu_);
    session_->Close();
    lost_ = true;
  }

  void Cancel(const v1::Cancel& cancel) {
    ports::MutexLock lock(&mu_);
    const auto call = calls_.find(NameOf(cancel.ref(), cancel.lease_epoch()));
    if (call != calls_.end()) call->second->context.TryCancel();
  }

  Stub& stub_;
  const std::shared_ptr<WorkerSession> session_;
  std::atomic<bool> lost_{false};
  ports::Mutex hear_mu_;  // one thread at a time is heard
  ports::Mutex mu_;
  std::map<std::string, std::shared_ptr<Call>> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

// One endpoint.
class WorkerDialer::Line {
 public:
  Line(ports::WorkerPool& pool, WorkerEndpoint endpoint, std::function<void(std::string)> warn)
      : pool_(pool), endpoint_(std::move(endpoint)), warn_(std::move(warn)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kReceiveBytesMax);
    if (endpoint_.address.rfind("unix:", 0) == 0) {
      arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    }
    stub_ = v1::StepExecutorService::NewStub(grpc::CreateCustomChannel(
        endpoint_.address, grpc::InsecureChannelCredentials(), arguments));
    thread_ = std::thread([this] { Loop(); });
  }

  ~Line() {
    {
      ports::MutexLock lock(&mu_);
      ending_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    thread_.join();
  }

 private:
  void Loop() {
    absl::Duration pause = kPauseMin;
    bool warned = false;
    while (true) {
      const absl::Time before = absl::Now();
      const absl::Status end = Talk();
      if (absl::Now() - before > absl::Seconds(5)) {  // it was there: begin anew
        pause = kPauseMin;
        warned = false;
      }
      if (!warned && !Ending()) {
        warn_(absl::StrCat("worker endpoint ", endpoint_.address, ": ", end.message()));
      }
      warned = true;
      ports::MutexLock lock(&mu_);
      const auto ending = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return ending_; };
      if (mu_.AwaitFor(ending, pause)) return;
      pause = std::min(pause * 2, kPauseMax);
    }
  }

  bool Ending() {
    ports::MutexLock lock(&mu_);
    return ending_;
  }

  // False if everything is about to end; else `context` can be cancelled by that.
  bool Enter(grpc::ClientContext* context) {
    ports::MutexLock lock(&mu_);
    context_ = ending_ ? nullptr : context;
    return !ending_;
  }
  void Leave() {
    ports::MutexLock lock(&mu_);
    context_ = nullptr;
  }

  absl::StatusOr<v1::WorkerWord> Describe(bool* streams) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDescribeLimit);
    if (!Enter(&context)) return absl::CancelledError("ending");
    v1::DescribeRequest request;
    request.set_protocol_version(kWorkerProtocol);
    v1::DescribeResponse response;
    const grpc::Status status = stub_->Describe(&context, request, &response);
    Leave();
    if (!status.ok()) return FromGrpc(status);
    *streams = response.streams();
    v1::WorkerWord word;
    word.mutable_hello()->Swap(response.mutable_hello());
    if (!endpoint_.queue.empty()) {
      auto* capabilities = word.mutable_hello()->mutable_capabilities();
      capabilities->erase(std::remove_if(capabilities->begin(), capabilities->end(),
                                         [this](const v1::Capability& capability) {
                                           return capability.queue() != endpoint_.queue;
                                         }),
                          capabilities->end());
    }
    return word;
  }

  // From the first call to the end of the stream.
  absl::Status Talk() {
    bool streams = false;
    absl::StatusOr<v1::WorkerWord> hello = Describe(&streams);
    if (!hello.ok()) return hello.status();
    return streams ? TalkByStream(*hello) : TalkByCalls(*hello);
  }

  absl::Status TalkByStream(const v1::WorkerWord& hello) {
    grpc::ClientContext context;
    if (!Enter(&context)) return absl::CancelledError("ending");
    auto stream = stub_->ExecuteStepStream(&context);
    engine::Aside writer(1);
    // The stream and its writer are here for as long as the session may wake.
    std::shared_ptr<WorkerSession> session;
    const auto pump = [&] {
      v1::ExecuteStepStreamRequest request;
      while (session->Take(request.mutable_words())) {
        if (!stream->Write(request)) return;  // the read ends, too
        request.Clear();
      }
    };
    session = std::make_shared<WorkerSession>(pool_, kTenant, "endpoint:" + endpoint_.address, "",
                                              [&] { writer.Do(pump); });
    v1::ExecuteStepStreamResponse response;
    WorkerWords words = One(hello);
    absl::Status heard = session->Hear(&words);
    while (heard.ok() && stream->Read(&response)) heard = session->Hear(response.mutable_words());
    session->Close();
    context.TryCancel();
    writer.Wait();
    const absl::Status end = FromGrpc(stream->Finish());
    Leave();
    return heard.ok() ? end : heard;
  }

  absl::Status TalkByCalls(const v1::WorkerWord& hello) {
    engine::Aside writer(1);
    std::shared_ptr<UnaryCalls> calls;
    std::shared_ptr<WorkerSession> session;
    const auto pump = [&] {
      DaemonWords words;
      while (session->Take(&words)) {
        calls->Say(&words);
        words.Clear();
      }
    };
    session = std::make_shared<WorkerSession>(pool_, kTenant, "endpoint:" + endpoint_.address, "",
                                              [&] { writer.Do(pump); });
    calls = std::make_shared<UnaryCalls>(*stub_, session);
    absl::Status heard = calls->Hear(hello);
    while (heard.ok() && !calls->lost() && !AwaitEnding(kAliveInterval)) {
      v1::WorkerWord alive;
      alive.mutable_heartbeat()->set_credit(hello.hello().credit());
      heard = calls->Hear(std::move(alive));
    }
    session->Close();
    writer.Wait();
    calls->BreakOff();
    return heard.ok() ? absl::UnavailableError("it does not answer any more") : heard;
  }

  bool AwaitEnding(absl::Duration wait) {
    ports::MutexLock lock(&mu_);
    const auto ending = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return ending_; };
    return mu_.AwaitFor(ending, wait);
  }

  ports::WorkerPool& pool_;
  const WorkerEndpoint endpoint_;
  const std::function<void(std::string)> warn_;
  std::unique_ptr<Stub> stub_;
  ports::Mutex mu_;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;  // of the call under way
  std::thread thread_;
};

WorkerDialer::WorkerDialer(ports::WorkerPool& pool, std::vector<WorkerEndpoint> endpoints,
                           const std::function<void(std::string)>& warn) {
  for (WorkerEndpoint& endpoint : endpoints) {
    lines_.push_back(std::make_unique<Line>(pool, std::move(endpoint), warn));
  }
}

WorkerDialer::~WorkerDialer() = default;

}  // namespace beamline::rpc
