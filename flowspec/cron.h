// Timetables: the five fields of crontab(5), and when they come due in a time zone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace beamline::flowspec {

// What is wrong with a timetable, and where in its text.
struct CronMistake {
  size_t offset = 0, length = 0;  // bytes; length 0: the whole text
  std::string message;            // "minutes go from 0 to 59"
  std::string help;               // may be empty
};

// Minute, hour, day of month, month, day of week. Each is `*`, a number, a range `a-b`, either with
// a step `/n`, or a list of those; months and days also by their English abbreviations, Sunday is 0
// and 7. `@hourly`, `@daily` (`@midnight`), `@weekly`, `@monthly` and `@yearly` (`@annually`) stand
// for what they say. Where both days are given (neither begins with `*`), either will do, as in
// crontab(5).
class Cron {
 public:
  // Nothing after filling in `mistake`. A timetable that no date ever meets (30 February) is one.
  static std::optional<Cron> Parse(std::string_view text, CronMistake* mistake);

  // The first time after `after` at which the clocks of `zone` show a time of the timetable.
  // A time that clocks skip (they are put forward over it) comes due once, at the end of the gap;
  // one that they show twice, the first time only. Strictly increasing; the rarest days (29
  // February on one day of the week) are up to 40 years away.
  absl::Time Next(absl::Time after, absl::TimeZone zone) const;

 private:
  bool MatchesDay(absl::CivilDay day) const;

  uint64_t minutes_ = 0;  // bit n: minute n
  uint32_t hours_ = 0;
  uint32_t days_ = 0;        // of the month, from bit 1
  uint16_t months_ = 0;      // from bit 1
  uint8_t weekdays_ = 0;     // from Sunday, bit 0
  bool either_day_ = false;  // both kinds of day are given
};

// The zone of an IANA name such as "Europe/Berlin"; "UTC" always exists. Nothing for any other
// text: names are looked up as files, so one that could leave the zones' directory is no name.
std::optional<absl::TimeZone> FindTimeZone(std::string_view name);

}  // namespace beamline::flowspec
