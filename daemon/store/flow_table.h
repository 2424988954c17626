// The tables `registered_flows`, `flow_versions` and `flow_requests`: flows by name, and how each
// name came to mean what it means.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// What an earlier request with this id led to; nothing if there was none.
absl::StatusOr<std::optional<ports::FlowVersion>> FindFlowRequest(Connection& db,
                                                                  const std::string& tenant,
                                                                  const std::string& request_id);

// Writes, inside a transaction of the caller.
// Makes `version` (its number is set here) the current one of its name, or takes the name away
// where its digest is empty.
absl::Status InsertFlowVersion(Connection& db, ports::FlowVersion* version);
absl::Status InsertFlowRequest(Connection& db, const std::string& request_id,
                               const ports::FlowVersion& version);

// Reads; see ports::FlowRegistry.
absl::StatusOr<std::optional<ports::FlowVersion>> SelectCurrentFlow(Connection& db,
                                                                    const std::string& tenant,
                                                                    const std::string& name);
absl::StatusOr<std::vector<ports::FlowVersion>> SelectFlows(Connection& db,
                                                            const ports::FlowQuery& query);
absl::StatusOr<std::vector<ports::FlowVersion>> SelectFlowHistory(Connection& db,
                                                                  const std::string& tenant,
                                                                  const std::string& name,
                                                                  uint64_t before, int limit);
absl::StatusOr<std::vector<ports::FlowVersion>> SelectVersions(Connection& db,
                                                               const std::string& tenant,
                                                               const std::string& name,
                                                               const std::string& digest_part);

inline constexpr int kFoundVersionsMax = 10;

// The rules of a request id, which the stores share: what `found` was, against what is asked now
// (an empty digest is a removal). AlreadyExists: it was something else.
absl::Status CheckSameRequest(const ports::FlowVersion& found, const std::string& name,
                              const std::string& digest);
absl::Status FlowNotFound(const std::string& name);  // NotFound

}  // namespace beamline::store
