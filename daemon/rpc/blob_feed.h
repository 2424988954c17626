// The content of a blob, for those who may know it: only what an event of the run names.
#pragma once

#include <memory>

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"
#include "daemon/rpc/feed.h"

namespace beamline::rpc {

std::unique_ptr<Feed<v1::ReadBlobResponse>> MakeBlobFeed(const Backend& backend,
                                                         const v1::ReadBlobRequest& request);

}  // namespace beamline::rpc
