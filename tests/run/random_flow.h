// Flows for the simulation: small, of every construct the core knows, from a seed.
#pragma once

#include <memory>
#include <random>

#include "daemon/run/plan.h"

namespace beamline::run {

// Numbers of one seed, the same on every machine (std distributions are not).
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // In [0, n).
  uint64_t Below(uint64_t n) { return engine_() % n; }
  bool Chance(uint64_t percent) { return Below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

// A valid flow of 1 to about 12 steps.
std::shared_ptr<const Plan> RandomFlow(Random& random);

}  // namespace beamline::run
