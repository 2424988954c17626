// WaitRun: an answer when the run is finished, or waits, or a step has ended, or time is over.
#pragma once

#include <memory>

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// `response` is written before `done` is called and not touched afterwards. Costs no thread while
// it waits. The call may be dropped once `done` was called.
std::shared_ptr<Call> WaitRun(const Backend& backend, const v1::WaitRunRequest& request,
                              v1::WaitRunResponse* response, Done done);

}  // namespace beamline::rpc
