// ApprovalService on gRPC.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "beamline/v1/approval.grpc.pb.h"
#include "daemon/rpc/answer.h"
#include "daemon/rpc/approvals.h"

namespace beamline::rpc {
namespace {

using Context = grpc::CallbackServerContext;

class ApprovalService final : public v1::ApprovalService::CallbackService {
 public:
  ApprovalService(const Backend& backend, const Peers& peers) : backend_(backend), peers_(peers) {}

  grpc::ServerUnaryReactor* ListTasks(Context* context, const v1::ListTasksRequest* request,
                                      v1::ListTasksResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::ListTasks(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* GetTask(Context* context, const v1::GetTaskRequest* request,
                                    v1::GetTaskResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::GetTask(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* DecideTask(Context* context, const v1::DecideTaskRequest* request,
                                       v1::DecideTaskResponse* response) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::DecideTask(backend_, caller, *request, response, std::move(done));
    });
  }

  grpc::ServerUnaryReactor* DelegateTask(Context* context, const v1::DelegateTaskRequest* request,
                                         v1::DelegateTaskResponse*) override {
    return Answer(peers_, context, [&](const Caller& caller, Done done) {
      rpc::DelegateTask(backend_, caller, *request, std::move(done));
    });
  }

 private:
  const Backend& backend_;
  const Peers& peers_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeApprovalService(const Backend& backend, const Peers& peers) {
  return std::make_unique<ApprovalService>(backend, peers);
}

}  // namespace beamline::rpc
