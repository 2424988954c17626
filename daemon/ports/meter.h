// What a step may cost, told before it runs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/run/event.h"

namespace beamline::ports {

// An answer has at most so many tokens where a budget has to know and the step does not say.
inline constexpr int64_t kBudgetedTokensMax = 4096;

struct Estimate {
  run::Cost most;        // of one attempt, its repairs included
  std::string unpriced;  // the model, if money cannot be told for it; `most` has tokens only then
};

class Meter {
 public:
  virtual ~Meter() = default;
  // Of an `llm` step with this resolved body (JSON). A body that its executor will refuse costs
  // nothing. Thread-safe; takes microseconds a KiB.
  virtual Estimate MostOf(std::string_view body) const = 0;
};

}  // namespace beamline::ports
