// What a timetable owes, for clocks that go on, jump and go back.
#include "daemon/schedule/agenda.h"

#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"

namespace beamline::schedule {
namespace {

using Catchup = flowspec::Trigger::Catchup;

absl::Time Time(const std::string& text) {
  absl::Time time;
  std::string error;
  REQUIRE_MESSAGE(absl::ParseTime(absl::RFC3339_full, text, &time, &error), error);
  return time;
}

// "starts …, missed …", in UTC.
std::string Decided(const std::string& fields, Catchup catchup, const std::string& cursor,
                    const std::string& now, bool down) {
  flowspec::CronMistake mistake;
  const auto cron = flowspec::Cron::Parse(fields, &mistake);
  REQUIRE(cron.has_value());
  const Agenda agenda = Decide(*cron, absl::UTCTimeZone(), catchup, Time(cursor), Time(now), down);
  const auto text = [](absl::Time time) {
    return absl::FormatTime(" %dT%H:%M", time, absl::UTCTimeZone());
  };
  std::string decided = "starts";
  for (const absl::Time start : agenda.starts) absl::StrAppend(&decided, text(start));
  if (agenda.missed) absl::StrAppend(&decided, ", missed", text(*agenda.missed));
  CHECK(agenda.cursor <= Time(now));
  CHECK(agenda.cursor >= Time(cursor));
  return decided;
}

TEST_CASE("nothing comes due early, and nothing twice") {
  const std::string day = "0 3 * * *";
  CHECK(Decided(day, Catchup::kNone, "2031-05-16T03:00:00Z", "2031-05-17T02:59:59.999999999Z",
                false) == "starts");
  CHECK(Decided(day, Catchup::kNone, "2031-05-16T03:00:00Z", "2031-05-17T03:00:00Z", false) ==
        "starts 17T03:00");
  CHECK(Decided(day, Catchup::kNone, "2031-05-17T03:00:00Z", "2031-05-17T03:00:00Z", false) ==
        "starts");
}

TEST_CASE("what nobody was there for is made up for as `catchup` says") {
  const std::string day = "0 3 * * *", cursor = "2031-05-10T03:00:00Z";
  const std::string now = "2031-05-13T12:00:00Z";
  CHECK(Decided(day, Catchup::kNone, cursor, now, true) == "starts, missed 13T03:00");
  CHECK(Decided(day, Catchup::kLast, cursor, now, true) == "starts 13T03:00");
  CHECK(Decided(day, Catchup::kAll, cursor, now, true) == "starts 11T03:00 12T03:00 13T03:00");
  // A minute's absence is none.
  CHECK(Decided(day, Catchup::kNone, cursor, "2031-05-11T03:00:59Z", true) == "starts 11T03:00");
  CHECK(Decided(day, Catchup::kNone, cursor, "2031-05-11T03:01:01Z", true) ==
        "starts, missed 11T03:00");
}

TEST_CASE("a clock that is put forward over a start does not lose it") {
  const std::string now = "2031-05-11T12:00:00Z";
  CHECK(Decided("0 3 * * *", Catchup::kNone, "2031-05-10T12:00:00Z", now, false) ==
        "starts 11T03:00");
  CHECK(Decided("0 */6 * * *", Catchup::kNone, "2031-05-10T12:00:00Z", now, false) ==
        "starts 11T12:00");
  CHECK(Decided("0 */6 * * *", Catchup::kAll, "2031-05-10T12:00:00Z", now, false) ==
        "starts 10T18:00 11T00:00 11T06:00 11T12:00");
}

TEST_CASE("years of missed minutes are found quickly, and all of them are never wanted") {
  CHECK(Decided("* * * * *", Catchup::kLast, "2021-05-10T00:00:00Z", "2031-05-13T12:00:30Z",
                true) == "starts 13T12:00");
  CHECK(Decided("0 0 29 2 *", Catchup::kLast, "2021-05-10T00:00:00Z", "2031-05-13T00:00:00Z",
                true) == "starts 29T00:00");
  flowspec::CronMistake mistake;
  const auto cron = flowspec::Cron::Parse("* * * * *", &mistake);
  const absl::Time now = Time("2031-05-13T12:00:00Z");
  const Agenda agenda =
      Decide(*cron, absl::UTCTimeZone(), Catchup::kAll, now - absl::Hours(48), now, true);
  REQUIRE(agenda.starts.size() == kCatchupMax);
  CHECK(agenda.starts.back() == now);
  CHECK(agenda.starts.front() == now - absl::Minutes(999));
  CHECK(agenda.missed == now - absl::Minutes(1000));
}

}  // namespace
}  // namespace beamline::schedule
