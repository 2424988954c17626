// Wall clock and getrandom(2).
#include "daemon/exec/system_clock.h"

#include <sys/random.h>

#include "absl/time/clock.h"

namespace beamline::exec {

absl::Time SystemClock::Now() { return absl::Now(); }

std::array<uint8_t, 10> SystemClock::Entropy() {
  std::array<uint8_t, 10> bytes;
  // So few bytes come whole; only before the machine has gathered randomness can it take a moment.
  while (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
  }
  return bytes;
}

}  // namespace beamline::exec
