// Triggers of registered flows: from the flow format to the registry, and from there to the wire.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "beamline/v1/flow.pb.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/rpc/backend.h"
#include "flowspec/flow.h"

namespace beamline::rpc {

// What the flow's triggers are for the registry. Keys say what makes a trigger the same in another
// version: its timetable and zone, or the other flow and how its run ends.
std::vector<ports::TriggerSpec> TriggerSpecs(const flowspec::Flow& flow);

// Adds the triggers of each of `flows` (with their versions filled in) as they stand now.
absl::Status AddTriggers(const Backend& backend, absl::Span<v1::FlowSummary* const> flows);

}  // namespace beamline::rpc
