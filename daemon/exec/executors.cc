// A Stop goes to all: whoever does not know the attempt ignores it.
#include "daemon/exec/executors.h"

#include <algorithm>
#include <utility>

#include "flowspec/check.h"

namespace beamline::exec {

void Executors::Add(flowspec::StepKind kind, ports::Executor& executor) {
  by_kind_[kind] = &executor;
  if (std::find(all_.begin(), all_.end(), &executor) == all_.end()) all_.push_back(&executor);
}

void Executors::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  if (absl::Status read = ReadSecrets(rules_, &attempt); !read.ok()) {
    run::ReportAttempt report{.path = attempt.path, .attempt = attempt.attempt};
    report.outcome = run::Outcome::kFailed;
    report.error = {"secret", std::string(read.message())};
    return done(std::move(report));
  }
  const auto executor = by_kind_.find(attempt.kind);
  CHECK(executor != by_kind_.end());
  executor->second->Start(std::move(attempt), std::move(done));
}

void Executors::Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                     run::StopReason reason, bool force) {
  for (ports::Executor* executor : all_) executor->Stop(run, path, attempt, reason, force);
}

}  // namespace beamline::exec
