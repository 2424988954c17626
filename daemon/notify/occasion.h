// What people are told: an event that concerns them, with what they need to know to act on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/notify/rule.h"
#include "daemon/run/event.h"
#include "daemon/run/id.h"

namespace beamline::notify {

struct Occasion {
  Kind kind = Kind::kRunFailed;
  run::RunId run;
  uint64_t seq = 0;  // of the event
  absl::Time time;
  std::string flow;  // name, as of labels: of the run's row
  run::Labels labels;
  std::string path;  // of the step; empty: the run
  std::string reason;
  run::Error error;
  // Of an approval.
  uint64_t task = 0;
  int32_t round = 0;
  std::string title;
  std::vector<std::string> asked;             // "user:ada", "group:editors"
  absl::Time until = absl::InfiniteFuture();  // it expires or escalates
  uint64_t letter = 0;                        // number of a dead letter
};

// What `event` gives occasion to tell, as far as the event says it: flow and labels, the title of a
// task that was asked for earlier and the number of a dead letter are to be looked up.
std::vector<Occasion> OccasionsOf(const run::RunId& run, const run::Event& event);

// The same whenever the occasion is told: receivers know repetitions by it. Printable, no blanks.
std::string IdOf(const Occasion& occasion);

// The command to go on with: "beamline review t31".
std::string NextCommand(const Occasion& occasion);

// One line of JSON, at most about 16 KiB; docs: beamlined(8). It holds nothing that the log does
// not hold, so no sensitive input and no secret.
std::string JsonOf(const Occasion& occasion);

}  // namespace beamline::notify
