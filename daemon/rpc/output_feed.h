// What a run's steps print: the past, then live until the run is finished.
#pragma once

#include <memory>

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"
#include "daemon/rpc/feed.h"

namespace beamline::rpc {

std::unique_ptr<Feed<v1::TailOutputResponse>> MakeOutputFeed(const Backend& backend,
                                                             const v1::TailOutputRequest& request,
                                                             Wake wake);

}  // namespace beamline::rpc
