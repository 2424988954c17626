// The gRPC side of the services: nothing but conversion between calls of gRPC and ours.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "daemon/rpc/admin.h"
#include "daemon/rpc/backend.h"
#include "daemon/rpc/peers.h"

namespace grpc {
class Service;
class Status;
}  // namespace grpc

namespace beamline::rpc {

// How a call ends.
grpc::Status ToGrpc(const absl::Status& status);

// All arguments outlive the service, and every call of it.
std::unique_ptr<grpc::Service> MakeOrchestratorService(const Backend& backend, const Peers& peers);
std::unique_ptr<grpc::Service> MakeFlowService(const Backend& backend, const Peers& peers);
std::unique_ptr<grpc::Service> MakeApprovalService(const Backend& backend, const Peers& peers);
std::unique_ptr<grpc::Service> MakeWorkerService(const Backend& backend, const Peers& peers);
std::unique_ptr<grpc::Service> MakeDeadLetterService(const Backend& backend, const Peers& peers);
std::unique_ptr<grpc::Service> MakeAdminService(const Backend& backend, const Peers& peers,
                                                const About& about);

}  // namespace beamline::rpc
