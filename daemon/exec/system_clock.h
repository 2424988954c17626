// The machine's clock and randomness.
#pragma once

#include "daemon/ports/clock.h"

namespace beamline::exec {

// Thread-safe.
class SystemClock : public ports::Clock {
 public:
  absl::Time Now() override;
  std::array<uint8_t, 10> Entropy() override;
};

}  // namespace beamline::exec
