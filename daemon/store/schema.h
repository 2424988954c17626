// The tables of the event store and how they came to be, version by version.
#pragma once

#include "absl/status/status.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// The version this release writes.
inline constexpr int kSchemaVersion = 5;

// Brings the database to kSchemaVersion in one transaction; a new (empty) file likewise.
// FailedPrecondition: written by a newer release, or not a BeamLine store. Others: SqliteError.
absl::Status Migrate(Connection& db);

}  // namespace beamline::store
