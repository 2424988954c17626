// Time and randomness, as the engine asks for them.
#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace beamline::ports {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;                   // wall clock; may step
  virtual std::array<uint8_t, 10> Entropy() = 0;  // for run ids and jitter
};

}  // namespace beamline::ports
