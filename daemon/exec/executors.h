// All executors as one: each attempt goes to the one of its kind, with its secrets.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/exec/secrets.h"
#include "daemon/ports/executor.h"

namespace beamline::exec {

// Thread-safe once all are added.
class Executors : public ports::Executor {
 public:
  explicit Executors(SecretRules rules) : rules_(rules) {}

  // Attempts of `kind` go to `executor`, which outlives this.
  void Add(flowspec::StepKind kind, ports::Executor& executor);

  // Fails with kind "secret" where a value is missing. REQUIRES: the attempt's kind was added.
  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) override;
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force) override;

 private:
  const SecretRules rules_;
  absl::flat_hash_map<flowspec::StepKind, ports::Executor*> by_kind_;
  std::vector<ports::Executor*> all_;
};

}  // namespace beamline::exec
