// The clock of leases: it does not step, so that setting the machine's time expires nothing.
#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace beamline::exec {

// Good for differences only.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace beamline::exec
