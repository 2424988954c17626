// How the services answer a unary call: for the .cc files that speak gRPC, behind its headers.
#pragma once

#include "absl/status/statusor.h"
#include "daemon/rpc/identity.h"
#include "daemon/rpc/services.h"

namespace beamline::rpc {

// Answers a call by `work(caller, done)`, which calls `done` sooner or later whatever happens.
// `context` is a grpc::CallbackServerContext.
template <class Context, class Work>
auto* Answer(const Peers& peers, Context* context, const Work& work) {
  auto* reactor = context->DefaultReactor();
  absl::StatusOr<Caller> caller = Identify(peers, *context);
  if (caller.ok()) {
    work(*caller, [reactor](const absl::Status& status) { reactor->Finish(ToGrpc(status)); });
  } else {
    reactor->Finish(ToGrpc(caller.status()));
  }
  return reactor;
}

}  // namespace beamline::rpc
