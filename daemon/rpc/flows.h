// The calls about registered flows, apart from any transport.
#pragma once

#include "beamline/v1/flow.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// Requests and responses live until `done` is called.
void RegisterFlow(const Backend& backend, const Caller& caller,
                  const v1::RegisterFlowRequest& request, v1::RegisterFlowResponse* response,
                  Done done);
void GetFlow(const Backend& backend, const v1::GetFlowRequest& request,
             v1::GetFlowResponse* response, Done done);
void ListFlows(const Backend& backend, const v1::ListFlowsRequest& request,
               v1::ListFlowsResponse* response, Done done);
void ListFlowVersions(const Backend& backend, const v1::ListFlowVersionsRequest& request,
                      v1::ListFlowVersionsResponse* response, Done done);
void DeleteFlow(const Backend& backend, const Caller& caller, const v1::DeleteFlowRequest& request,
                Done done);

}  // namespace beamline::rpc
