// SignalRun and ResumeRun: what lets a run that waits go on.
#pragma once

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// The request lives until `done` is called.
void SignalRun(const Backend& backend, const Caller& caller, const v1::SignalRunRequest& request,
               v1::SignalRunResponse* response, Done done);
void ResumeRun(const Backend& backend, const Caller& caller, const v1::ResumeRunRequest& request,
               Done done);

}  // namespace beamline::rpc
