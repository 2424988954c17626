// What a timetable owes at a moment: pure, so that every clock there can be is tried in tests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "flowspec/cron.h"
#include "flowspec/flow.h"

namespace beamline::schedule {

// A start that is this late is made all the same, whatever `catchup` says: a daemon that is
// replaced by the next release, or a busy machine, loses nothing.
inline constexpr absl::Duration kLateMax = absl::Minutes(1);
// Starts that are made up for at once; the newest ones.
inline constexpr size_t kCatchupMax = 1000;
// A clock that goes back by more than this was wrong before: the timetable begins anew. One that
// goes back by less waits until it is past what was decided, so that nothing is started twice.
inline constexpr absl::Duration kRewindMax = absl::Hours(48);

struct Agenda {
  std::vector<absl::Time> starts;    // oldest first
  absl::Time cursor;                 // everything up to here is decided with this
  std::optional<absl::Time> missed;  // the newest one that is not made up for
};

// What came due after `cursor`, up to `now`. `down`: nobody looked meanwhile, so that `catchup`
// says what is made up for. Otherwise the clock was put forward (or the machine slept) over it:
// then the newest start is made, and with `catchup: all` all of them.
Agenda Decide(const flowspec::Cron& cron, absl::TimeZone zone, flowspec::Trigger::Catchup catchup,
              absl::Time cursor, absl::Time now, bool down);

}  // namespace beamline::schedule
