// A flow against what this daemon has: models, workers, registered flows, secrets.
#pragma once

#include "beamline/v1/flow.pb.h"
#include "daemon/rpc/backend.h"
#include "flowspec/flow.h"

namespace beamline::rpc {

void CheckFlow(const Backend& backend, const v1::CheckFlowRequest& request,
               v1::CheckFlowResponse* response, Done done);

// Why no run of the flow could do its work, as findings: a model that does not exist, a flow that
// is not registered. Not what may still come while it runs: workers, and the values of secrets.
absl::StatusOr<flowspec::Findings> WhatIsMissing(const Backend& backend,
                                                 const flowspec::Flow& flow);

}  // namespace beamline::rpc
