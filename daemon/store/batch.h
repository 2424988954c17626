// What every event store asks of a batch before it looks at what is stored.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "daemon/ports/event_store.h"

namespace beamline::store {

// InvalidArgument: events that are missing or misnumbered, or a new run without a row.
absl::Status CheckBatch(absl::Span<const ports::RunEvents> batch);

// The row as it is stored: with id, last_seq, and the time of a finished run's end.
ports::RunRow CompleteRow(const ports::RunEvents& events);  // REQUIRES: events.row

// The refusals that a caller can act on.
absl::Status RunMoved(const run::RunId& id, uint64_t expected, uint64_t found);  // Aborted
absl::Status RunNotFound(const run::RunId& id);
absl::Status RunNotFinished(const run::RunId& id);  // FailedPrecondition

}  // namespace beamline::store
