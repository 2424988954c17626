// The JSON shape of registered flows, for -o json and --jq. Keys are stable, what is absent is
// absent, times are RFC 3339 in UTC.
//
//   flow:    {name, version, digest, registered_at, actor, workspace, description?,
//             triggers?: [trigger]}
//   trigger: {kind, cron | flow, tz?, overlap, catchup?, when?, next_at?, run?, queued?,
//             last?: {scheduled_at, decided_at, decision, reason?}}
#pragma once

#include <string>

#include "beamline/v1/flow.pb.h"

namespace beamline::cli {

std::string FlowVersionJson(const v1::FlowVersion& version);
std::string FlowSummaryJson(const v1::FlowSummary& flow);

}  // namespace beamline::cli
