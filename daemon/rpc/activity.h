// What goes on in the daemon, for whoever watches all of it.
#pragma once

#include "beamline/v1/admin.pb.h"
#include "daemon/rpc/admin.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// Its cost does not grow with the runs that are stored: the engine keeps the counts of runs and
// looks at those in memory (engine_survey.cc says what that costs), tasks are counted by the store
// as they come and go, and dead letters along an index up to a limit.
// The request and response live until `done` is called.
void GetActivity(const Backend& backend, const About& about, const v1::GetActivityRequest& request,
                 v1::GetActivityResponse* response, Done done);

}  // namespace beamline::rpc
