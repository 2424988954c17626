// Sensitive inputs of runs: sealed apart from the log, forgotten with the run's end.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/run/id.h"

namespace beamline::ports {

using Secrets = std::vector<std::pair<std::string, std::string>>;  // name → JSON text

// Thread-safe.
class Vault {
 public:
  virtual ~Vault() = default;
  // On disk, sealed, before return.
  virtual absl::Status Put(const run::RunId& run, const Secrets& secrets) = 0;
  virtual absl::StatusOr<Secrets> Get(const run::RunId& run) const = 0;  // NotFound
  // Deletes; a run without secrets is fine.
  virtual void Forget(const run::RunId& run) = 0;
};

}  // namespace beamline::ports
