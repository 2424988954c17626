// What goes on, in numbers that are kept while it happens: runs by status, and what the last hour
// brought. Nothing has to be counted when somebody looks.
#pragma once

#include <array>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/mutex.h"
#include "daemon/run/event.h"

namespace beamline::engine {

// What a stretch of time brought.
struct Totals {
  uint64_t started = 0, succeeded = 0, failed = 0, cancelled = 0;  // runs
  int64_t nano_usd = 0, tokens = 0;  // of models, as their answers told
  uint64_t requests = 0;
  uint64_t unpriced = 0;  // of them, to models without a price
};

// Thread-safe. Each call costs a few nanoseconds, however many runs there are.
class Tally {
 public:
  // An unfinished run that recovery found.
  void Found(ports::RunStatus status) ABSL_LOCKS_EXCLUDED(mu_);
  void Started(ports::RunStatus status, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  void Moved(ports::RunStatus from, ports::RunStatus to, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);
  void Spent(const run::Usage& usage, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  struct Sums {
    std::array<uint64_t, 7> runs{};  // unfinished ones, by ports::RunStatus
    Totals total;                    // since the tally began
    Totals last_minute, last_hour;   // 60 seconds and minutes, the present one included
  };
  Sums Look(absl::Time now) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // A ring of stretches; one that is too old is empty.
  struct Ring {
    int64_t seconds = 1;  // of a stretch
    struct Slot {
      int64_t at = -1;  // number of the stretch
      Totals totals;
    };
    std::array<Slot, 60> slots{};
    Totals& At(absl::Time now);
    Totals Sum(absl::Time now) const;
  };
  template <class Change>
  void Add(absl::Time now, const Change& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Enter(ports::RunStatus status, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable ports::Mutex mu_;
  std::array<uint64_t, 7> runs_ ABSL_GUARDED_BY(mu_){};
  Totals total_ ABSL_GUARDED_BY(mu_);
  Ring by_second_ ABSL_GUARDED_BY(mu_){.seconds = 1};
  Ring by_minute_ ABSL_GUARDED_BY(mu_){.seconds = 60};
};

}  // namespace beamline::engine
