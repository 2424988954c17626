// DeadLetterService on gRPC.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "beamline/v1/dead_letter.grpc.pb.h"
#include "daemon/rpc/answer.h"
#include "daemon/rpc/dead_letters.h"
#include "daemon/rpc/services.h"

namespace beamline::rpc {
namespace {

using Context = grpc::CallbackServerContext;

class DeadLetterService final : public v1::DeadLetterService::CallbackService {
 public:
  DeadLetterService(const Backend& backend, const Peers& peers)
      : backend_(backend), peers_(peers) {}

  grpc::ServerUnaryReactor* ListDeadLetters(Context* context,
                                            const v1::ListDeadLettersRequest* request,
                                            v1::ListDeadLettersResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::ListDeadLetters(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* GetDeadLetter(Context* context, const v1::GetDeadLetterRequest* request,
                                          v1::GetDeadLetterResponse* response) override {
    return Answer(peers_, context, [&](const Caller&, Done done) {
      rpc::GetDeadLetter(backend_, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* RetryDeadLetters(Context* context,
                                             const v1::RetryDeadLettersRequest* request,
                                             v1::RetryDeadLettersResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::RetryDeadLetters(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* DropDeadLetters(Context* context,
                                            const v1::DropDeadLettersRequest* request,
                                            v1::DropDeadLettersResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::DropDeadLetters(backend_, caller, *request, response, std::move(done));
    });
  }

 private:
  const Backend& backend_;
  const Peers& peers_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDeadLetterService(const Backend& backend, const Peers& peers) {
  return std::make_unique<DeadLetterService>(backend, peers);
}

}  // namespace beamline::rpc
