// The tables `triggers` and `due_starts`: what starts runs by itself, and the starts it still owes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// Writes, inside a transaction of the caller; see ports::FlowRegistry.
absl::Status ReplaceTriggers(Connection& db, const std::string& tenant, const std::string& flow,
                             const std::vector<ports::TriggerSpec>& specs, absl::Time at);
absl::Status ApplyChange(Connection& db, const ports::TriggerChange& change);
// Owes a start to each trigger that waits for such an end of a run; how many those are.
absl::StatusOr<int> OweByRun(Connection& db, const ports::RunRow& row);

// Names of flows, as tenant/name, whose ends triggers wait for.
absl::StatusOr<std::vector<std::string>> AwaitedFlows(Connection& db);

absl::StatusOr<std::vector<ports::TriggerRow>> SelectTriggers(Connection& db,
                                                              const std::string& tenant,
                                                              const std::string& name);
absl::StatusOr<std::vector<ports::DueStart>> SelectDue(Connection& db);

}  // namespace beamline::store
