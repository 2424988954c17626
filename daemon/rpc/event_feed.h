// A run's events: the past from the log, then live, without a gap or a repeat.
#pragma once

#include <memory>

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"
#include "daemon/rpc/feed.h"

namespace beamline::rpc {

std::unique_ptr<Feed<v1::StreamExecutionEventsResponse>> MakeEventFeed(
    const Backend& backend, const v1::StreamExecutionEventsRequest& request, Wake wake);

}  // namespace beamline::rpc
