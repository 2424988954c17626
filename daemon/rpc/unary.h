// How a unary call of gRPC is answered by ours. A template over gRPC's types, so that this header
// does not need them.
#pragma once

#include "daemon/rpc/identity.h"
#include "daemon/rpc/services.h"

namespace beamline::rpc {

// Answers a call by `work(caller, done)`, which calls `done` sooner or later whatever happens.
// `Context`: grpc::CallbackServerContext.
template <class Context, class Work>
auto* Answer(const Peers& peers, Context* context, const Work& work) {
  auto* reactor = context->DefaultReactor();
  const auto caller = Identify(peers, *context);
  if (caller.ok()) {
    work(*caller, [reactor](const auto& status) { reactor->Finish(ToGrpc(status)); });
  } else {
    reactor->Finish(ToGrpc(caller.status()));
  }
  return reactor;
}

}  // namespace beamline::rpc
