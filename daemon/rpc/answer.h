// How the services answer a unary call. Includes gRPC: for the few .cc files that speak it.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "daemon/rpc/identity.h"
#include "daemon/rpc/services.h"

namespace beamline::rpc {

// Answers a call by `work(caller, done)`, which calls `done` sooner or later whatever happens.
template <class Work>
grpc::ServerUnaryReactor* Answer(const Peers& peers, grpc::CallbackServerContext* context,
                                 const Work& work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::StatusOr<Caller> caller = Identify(peers, *context);
  if (caller.ok()) {
    work(*caller, [reactor](const absl::Status& status) { reactor->Finish(ToGrpc(status)); });
  } else {
    reactor->Finish(ToGrpc(caller.status()));
  }
  return reactor;
}

}  // namespace beamline::rpc
