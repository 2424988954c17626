// Timetables: what they say, and when they come due, in zones whose clocks jump.
#include "flowspec/cron.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

using Times = std::vector<std::string>;

Cron Parsed(const std::string& text) {
  CronMistake mistake;
  const std::optional<Cron> cron = Cron::Parse(text, &mistake);
  REQUIRE_MESSAGE(cron.has_value(), text << ": " << mistake.message);
  return *cron;
}

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  REQUIRE_MESSAGE(absl::ParseTime(absl::RFC3339_full, text, &time, &error), error);
  return time;
}

// The next `count` times after `after`, as the zone's clocks show them.
Times Next(const std::string& cron, const std::string& after, int count = 1,
           const std::string& zone_name = "UTC") {
  const auto zone = FindTimeZone(zone_name);
  REQUIRE(zone.has_value());
  const Cron timetable = Parsed(cron);
  Times times;
  absl::Time time = At(after);
  for (int i = 0; i < count; ++i) {
    const absl::Time next = timetable.Next(time, *zone);
    REQUIRE(next > time);  // always strictly on
    time = next;
    times.push_back(absl::FormatTime("%Y-%m-%dT%H:%M%Ez", time, *zone));
  }
  return times;
}

// "MESSAGE at OFFSET+LENGTH"
std::string Mistake(const std::string& text) {
  CronMistake mistake;
  if (Cron::Parse(text, &mistake)) return "";
  return absl::StrCat(mistake.message, " at ", mistake.offset, "+", mistake.length);
}

TEST_CASE("fields: numbers, ranges, steps, lists and names") {
  CHECK(Next("0 3 * * *", "2031-05-17T02:59:59Z") == Times{"2031-05-17T03:00+00:00"});
  CHECK(Next("0 3 * * *", "2031-05-17T03:00:00Z") == Times{"2031-05-18T03:00+00:00"});
  CHECK(Next("*/20 * * * *", "2031-05-17T02:59:59Z", 4) ==
        Times{"2031-05-17T03:00+00:00", "2031-05-17T03:20+00:00", "2031-05-17T03:40+00:00",
              "2031-05-17T04:00+00:00"});
  CHECK(Next("5-10/2,59 23 * * *", "2031-05-17T23:06:00Z", 4) ==
        Times{"2031-05-17T23:07+00:00", "2031-05-17T23:09+00:00", "2031-05-17T23:59+00:00",
              "2031-05-18T23:05+00:00"});
  CHECK(Next("0 0 * JAN,jul MON-fri", "2031-01-31T12:00:00Z", 2) ==
        Times{"2031-07-01T00:00+00:00", "2031-07-02T00:00+00:00"});
  CHECK(Next("0 0 * * 7", "2031-05-17T00:00:00Z") == Next("0 0 * * SUN", "2031-05-17T00:00:00Z"));
  CHECK(Next("0 0 * * 0", "2031-05-17T00:00:00Z") == Times{"2031-05-18T00:00+00:00"});
}

TEST_CASE("of two days that are given either will do; a star gives none") {
  // The 13th, and every Friday.
  CHECK(Next("0 0 13 * 5", "2031-06-01T00:00:00Z", 3) ==
        Times{"2031-06-06T00:00+00:00", "2031-06-13T00:00+00:00", "2031-06-20T00:00+00:00"});
  CHECK(Next("0 0 13 * *", "2031-06-01T00:00:00Z", 2) ==
        Times{"2031-06-13T00:00+00:00", "2031-07-13T00:00+00:00"});
  // Mondays with an odd date.
  CHECK(Next("0 0 */2 * 1", "2031-06-01T00:00:00Z", 2) ==
        Times{"2031-06-09T00:00+00:00", "2031-06-23T00:00+00:00"});
}

TEST_CASE("aliases") {
  const std::string now = "2031-05-17T02:59:59Z";
  CHECK(Next("@hourly", now) == Next("0 * * * *", now));
  CHECK(Next("@daily", now) == Next("0 0 * * *", now));
  CHECK(Next("@midnight", now) == Next("0 0 * * *", now));
  CHECK(Next("@weekly", now) == Next("0 0 * * 0", now));
  CHECK(Next("@Monthly", now) == Next("0 0 1 * *", now));
  CHECK(Next("@yearly", now) == Next("0 0 1 1 *", now));
  CHECK(Next("@annually", now) == Next("0 0 1 1 *", now));
}

TEST_CASE("ends of months, leap days, and the year 2038") {
  CHECK(Next("0 0 31 * *", "2031-03-31T00:00:00Z", 3) ==
        Times{"2031-05-31T00:00+00:00", "2031-07-31T00:00+00:00", "2031-08-31T00:00+00:00"});
  CHECK(Next("0 12 29 2 *", "2031-03-01T00:00:00Z", 2) ==
        Times{"2032-02-29T12:00+00:00", "2036-02-29T12:00+00:00"});
  CHECK(Next("0 12 29 2 *", "2096-03-01T00:00:00Z") == Times{"2104-02-29T12:00+00:00"});
  // Sundays only: of the days of the week, */7 has one.
  CHECK(Next("0 0 29 2 */7", "2096-01-01T00:00:00Z", 2) ==
        Times{"2128-02-29T00:00+00:00", "2156-02-29T00:00+00:00"});
  CHECK(Next("0 0 3 3 */7", "2030-03-04T00:00:00Z") == Times{"2041-03-03T00:00+00:00"});
  CHECK(Next("59 23 31 12 *", "2031-12-31T23:59:00Z") == Times{"2032-12-31T23:59+00:00"});
  CHECK(Next("*/15 * * * *", "2038-01-19T03:14:07Z", 2) ==
        Times{"2038-01-19T03:15+00:00", "2038-01-19T03:30+00:00"});
  CHECK(Next("0 0 1 1 *", "2038-01-19T03:14:08Z") == Times{"2039-01-01T00:00+00:00"});
}

TEST_CASE("a time that the clocks skip comes due once, when the gap ends") {
  // 30 March 2031, Berlin: 02:00 is 03:00.
  CHECK(Next("30 2 * * *", "2031-03-29T12:00:00Z", 2, "Europe/Berlin") ==
        Times{"2031-03-30T03:00+02:00", "2031-03-31T02:30+02:00"});
  CHECK(Next("*/20 2 * * *", "2031-03-29T12:00:00Z", 2, "Europe/Berlin") ==
        Times{"2031-03-30T03:00+02:00", "2031-03-31T02:00+02:00"});
  CHECK(Next("0,30 * * * *", "2031-03-30T00:15:00Z", 3, "Europe/Berlin") ==
        Times{"2031-03-30T01:30+01:00", "2031-03-30T03:00+02:00", "2031-03-30T03:30+02:00"});
  // 9 March 2031, New York: 02:00 is 03:00.
  CHECK(Next("15 2 * * *", "2031-03-08T12:00:00Z", 2, "America/New_York") ==
        Times{"2031-03-09T03:00-04:00", "2031-03-10T02:15-04:00"});
  // 5 October 2031, Lord Howe: 02:00 is 02:30.
  CHECK(Next("15 2 * * *", "2031-10-04T00:00:00Z", 2, "Australia/Lord_Howe") ==
        Times{"2031-10-05T02:30+11:00", "2031-10-06T02:15+11:00"});
}

TEST_CASE("a time that the clocks show twice comes due the first time") {
  // 26 October 2031, Berlin: 03:00 is 02:00.
  CHECK(Next("30 2 * * *", "2031-10-25T12:00:00Z", 2, "Europe/Berlin") ==
        Times{"2031-10-26T02:30+02:00", "2031-10-27T02:30+01:00"});
  CHECK(Next("30 2 * * *", "2031-10-26T01:00:00Z", 1, "Europe/Berlin") ==
        Times{"2031-10-27T02:30+01:00"});  // asked between the two
  CHECK(Next("0 * * * *", "2031-10-25T23:30:00Z", 3, "Europe/Berlin") ==
        Times{"2031-10-26T02:00+02:00", "2031-10-26T03:00+01:00", "2031-10-26T04:00+01:00"});
  CHECK(Next("30 1 * * *", "2031-11-01T12:00:00Z", 2, "America/New_York") ==
        Times{"2031-11-02T01:30-04:00", "2031-11-03T01:30-05:00"});
  // 6 April 2031, Lord Howe: 02:00 is 01:30.
  CHECK(Next("45 1 * * *", "2031-04-05T00:00:00Z", 2, "Australia/Lord_Howe") ==
        Times{"2031-04-06T01:45+11:00", "2031-04-07T01:45+10:30"});
}

TEST_CASE("each day has one start of a daily timetable, through a year of clock changes") {
  for (const char* zone : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}) {
    const auto times = Next("30 2 * * *", "2031-01-01T00:00:00Z", 365, zone);
    for (size_t i = 1; i < times.size(); ++i) {
      CAPTURE(times[i]);
      CHECK(times[i].substr(0, 10) != times[i - 1].substr(0, 10));
    }
    CHECK(times.back().substr(0, 5) >= std::string("2031-"));
  }
}

TEST_CASE("mistakes are told at their place") {
  CHECK(Mistake("0 3 * *") == "a timetable has five fields at 0+0");
  CHECK(Mistake("0 0 3 * * *") == "a timetable has five fields at 0+0");
  CHECK(Mistake("") == "a timetable has five fields at 0+0");
  CHECK(Mistake("60 3 * * *") == "minutes go from 0 to 59 at 0+2");
  CHECK(Mistake("0  24 * * *") == "hours go from 0 to 23 at 3+2");
  CHECK(Mistake("0 3 0 * *") == "days of the month go from 1 to 31 at 4+1");
  CHECK(Mistake("0 3 * 13 *") == "months go from 1 to 12, or jan to dec at 6+2");
  CHECK(Mistake("0 3 * * mon,fry") == "days of the week go from 0 to 7, or sun to sat at 12+3");
  CHECK(Mistake("0 3 * * FRI-MON") == "the range ends before it begins at 8+7");
  CHECK(Mistake("5/10 * * * *") == "a step needs a range at 0+1");
  CHECK(Mistake("*/0 * * * *") == "a step is a number from 1 on at 2+1");
  CHECK(Mistake("*/5/2 * * * *") == "a range has one step at 0+5");
  CHECK(Mistake("1-2-3 * * * *") == "a range has two ends at 0+5");
  CHECK(Mistake("1,,2 * * * *") == "a list has an empty place at 2+0");
  CHECK(Mistake("-1 * * * *") == "minutes go from 0 to 59 at 0+0");
  CHECK(Mistake("0 0 ? * 1") == "`?` is not supported at 4+1");
  CHECK(Mistake("0 0 L * *") == "`L` is not supported at 4+1");
  CHECK(Mistake("0 0 15W * *") == "`15W` is not supported at 4+3");
  CHECK(Mistake("0 0 * * 5#2") == "`5#2` is not supported at 8+3");
  CHECK(Mistake("@reboot") == "`@reboot` is not known at 0+7");
  CHECK(Mistake("0 0 30 2 *") == "no month of the timetable has such a day at 4+2");
  CHECK(Mistake("0 0 31 4,6,9,11 *") == "no month of the timetable has such a day at 4+2");
  CHECK(Mistake("99999999999999999999 * * * *") == "minutes go from 0 to 59 at 0+20");
  CHECK(Mistake(std::string(2000, '1')) == "the timetable is too long at 0+0");
}

TEST_CASE("zones are names of zones and nothing else") {
  CHECK(FindTimeZone("UTC").has_value());
  CHECK(FindTimeZone("Europe/Berlin").has_value());
  CHECK(FindTimeZone("Etc/GMT+5").has_value());
  for (const char* name : {"", "Europe/Berlim", "localtime", "/etc/passwd", "../../etc/passwd",
                           "file:/etc/passwd", "Europe/../UTC", "Fixed/UTC+01:00:00"}) {
    CAPTURE(name);
    CHECK_FALSE(FindTimeZone(name).has_value());
  }
}

}  // namespace
}  // namespace beamline::flowspec
