// The checks and refusals that the stores share, so that they cannot differ.
#include "daemon/store/batch.h"

#include "absl/strings/str_cat.h"

namespace beamline::store {

absl::Status CheckBatch(absl::Span<const ports::RunEvents> batch) {
  for (const ports::RunEvents& events : batch) {
    const std::string id = events.id.ToString();
    if (events.events.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("no events for run ", id));
    }
    uint64_t seq = events.expected_seq;
    for (const run::Event& event : events.events) {
      if (event.seq != ++seq) {
        return absl::InvalidArgumentError(
            absl::StrCat("event ", event.seq, " of run ", id, " should be ", seq));
      }
    }
    if (events.expected_seq == 0 && !events.row) {
      return absl::InvalidArgumentError(absl::StrCat("the new run ", id, " brings no row"));
    }
  }
  return absl::OkStatus();
}

ports::RunRow CompleteRow(const ports::RunEvents& events) {
  ports::RunRow row = *events.row;
  row.id = events.id;
  row.last_seq = events.events.back().seq;
  if (!ports::IsFinished(row.status)) {
    row.finished_at = absl::InfinitePast();
  } else if (row.finished_at == absl::InfinitePast()) {
    row.finished_at = events.events.back().time;
  }
  return row;
}

absl::Status RunMoved(const run::RunId& id, uint64_t expected, uint64_t found) {
  return absl::AbortedError(absl::StrCat("run ", id.ToString(), " is at event ", found, ", not ",
                                         expected, "; reload and retry"));
}

absl::Status RunNotFound(const run::RunId& id) {
  return absl::NotFoundError(absl::StrCat("no run ", id.ToString()));
}

absl::Status RunNotFinished(const run::RunId& id) {
  return absl::FailedPreconditionError(
      absl::StrCat("run ", id.ToString(), " is not finished; cancel it first"));
}

}  // namespace beamline::store
