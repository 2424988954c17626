// The unary calls about runs, apart from any transport.
#pragma once

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// Requests and responses live until `done` is called. StartRun and WaitRun have files of their own.
void GetRun(const Backend& backend, const v1::GetRunRequest& request, v1::GetRunResponse* response,
            Done done);
void ListRuns(const Backend& backend, const v1::ListRunsRequest& request,
              v1::ListRunsResponse* response, Done done);
void CancelRun(const Backend& backend, const Caller& caller, const v1::CancelRunRequest& request,
               v1::CancelRunResponse* response, Done done);
void DeleteRun(const Backend& backend, const v1::DeleteRunRequest& request, Done done);
void ResolveRun(const Backend& backend, const v1::ResolveRunRequest& request,
                v1::ResolveRunResponse* response, Done done);
void Ping(v1::PingResponse* response);

}  // namespace beamline::rpc
