// A run as its log has it, read and folded beside the engine.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "daemon/rpc/backend.h"
#include "daemon/run/state.h"

namespace beamline::rpc {

struct FoldedRun {
  run::RunState state;
  std::string flow_source;
};

// May take as long as reading its whole log does. NotFound, DataLoss.
absl::StatusOr<FoldedRun> FoldRun(const Backend& backend, const ports::RunRow& row);

}  // namespace beamline::rpc
