// Requests to end, by signal or by call, as something to wait for.
#pragma once

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "daemon/ports/mutex.h"

namespace beamline::daemon {

// SIGTERM, SIGINT and SIGHUP ask; asking again hastens. SIGPIPE is made harmless by a handler and
// not by ignoring it, which the processes of steps would inherit. One per process.
class Termination {
 public:
  Termination();
  Termination(const Termination&) = delete;
  Termination& operator=(const Termination&) = delete;

  // Thread-safe. `grace` for running steps; zero: the configured one.
  void Ask(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_);

  // How often it was asked so far; waits for at most `wait` for one more.
  int Wait(absl::Duration wait);
  // What the call that asked wants; nothing if none did.
  std::optional<absl::Duration> grace() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  int asked_ = 0;
  mutable ports::Mutex mu_;
  std::optional<absl::Duration> grace_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::daemon
