// Which runs a command is about, where it is about many: --status, --flow, --label, --since,
// --query.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/context.h"
#include "cli/jq_filter.h"

namespace beamline::cli {

// The flags, and then `own`.
std::vector<Flag> WithRunFilters(std::vector<Flag> own);

// For the manual of a verb that takes them in place of a RUN: `which` are meant without --status.
std::string ManyRunsText(const std::string& which);

struct RunSelection {
  v1::ListRunsRequest request;
  std::optional<JqFilter> query;  // over the shape of `runs list -o json`
  int limit = 0;
  // With a query: at most so many of the runs that fit the rest are looked at, newest first.
  int looked_at_max = 100'000;
};

// Reads the flags into `selection`. False after telling what is wrong, with the exit code in
// `*code`.
bool ReadRunSelection(const Arguments& arguments, const Context& context, RunSelection* selection,
                      int* code);
// Whether one of the flags is given.
bool HasRunFilter(const Arguments& arguments);

struct SelectedRuns {
  std::vector<v1::RunSummary> runs;  // newest first
  bool cut = false;                  // looked_at_max was reached: there may be more
};

// Asks page by page until the limit is reached. InvalidArgument: the query cannot be worked out.
absl::StatusOr<SelectedRuns> FetchRuns(Client& client, RunSelection& selection);

// What to say where a selection was cut.
std::string CutText(const RunSelection& selection);

}  // namespace beamline::cli
