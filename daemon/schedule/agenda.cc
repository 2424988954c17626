// Looks back in growing steps, so that years of missed minutes cost nothing unless all are wanted.
#include "daemon/schedule/agenda.h"

#include <algorithm>
#include <deque>

namespace beamline::schedule {
namespace {

using Catchup = flowspec::Trigger::Catchup;

// The newest time in (cursor, now], if there is one.
std::optional<absl::Time> Newest(const flowspec::Cron& cron, absl::TimeZone zone, absl::Time cursor,
                                 absl::Time now) {
  constexpr absl::Duration kSteps[] = {absl::Hours(1), absl::Hours(24), absl::Hours(24 * 32),
                                       absl::Hours(24 * 400), absl::InfiniteDuration()};
  for (const absl::Duration step : kSteps) {
    const absl::Time from = std::max(cursor, now - step);
    absl::Time at = cron.Next(from, zone);
    if (at > now) {
      if (from == cursor) return std::nullopt;
      continue;
    }
    for (absl::Time next = at; next <= now; next = cron.Next(next, zone)) at = next;
    return at;
  }
  return std::nullopt;
}

}  // namespace

Agenda Decide(const flowspec::Cron& cron, absl::TimeZone zone, Catchup catchup, absl::Time cursor,
              absl::Time now, bool down) {
  Agenda agenda{{}, cursor, std::nullopt};
  const std::optional<absl::Time> newest = Newest(cron, zone, cursor, now);
  if (!newest) return agenda;
  agenda.cursor = *newest;
  if (catchup == Catchup::kAll) {
    std::deque<absl::Time> starts;
    for (absl::Time at = cron.Next(cursor, zone); at <= now; at = cron.Next(at, zone)) {
      starts.push_back(at);
      if (starts.size() <= kCatchupMax) continue;
      agenda.missed = starts.front();
      starts.pop_front();
    }
    agenda.starts = {starts.begin(), starts.end()};
  } else if (catchup == Catchup::kLast || !down || now - *newest <= kLateMax) {
    agenda.starts = {*newest};
  } else {
    agenda.missed = newest;
  }
  return agenda;
}

}  // namespace beamline::schedule
