// ReplayRun: a new run that goes on from the results of another one.
#pragma once

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// The request and the response live until `done` is called.
void ReplayRun(const Backend& backend, const Caller& caller, const v1::ReplayRunRequest& request,
               v1::ReplayRunResponse* response, Done done);

}  // namespace beamline::rpc
