// Fields become sets of bits; days are tried one by one.
#include "flowspec/cron.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

constexpr size_t kTextBytesMax = 1000;
// 29 February on one day of the week comes every 28 years, and not before 40 around 2100.
constexpr int kYearsMax = 41;
constexpr size_t kZoneBytesMax = 64;

struct Field {
  const char* name;  // in the plural
  int first, last;
  const char* const* words;  // names from `first` on; null: none
  int word_count;
};

constexpr const char* kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr const char* kDays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr Field kFields[] = {{"minutes", 0, 59, nullptr, 0},
                             {"hours", 0, 23, nullptr, 0},
                             {"days of the month", 1, 31, nullptr, 0},
                             {"months", 1, 12, kMonths, 12},
                             {"days of the week", 0, 7, kDays, 7}};
constexpr size_t kFieldCount = std::size(kFields);

struct Alias {
  const char* name;
  const char* fields;
};
constexpr Alias kAliases[] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                              {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                              {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                              {"@annually", "0 0 1 1 *"}};

bool Is(std::string_view text, std::string_view word) {
  return absl::EqualsIgnoreCase(absl::string_view(text.data(), text.size()),
                                absl::string_view(word.data(), word.size()));
}

struct Piece {
  std::string_view text;
  size_t offset;
};

std::vector<Piece> SplitAt(std::string_view text, size_t offset, std::string_view separators,
                           bool keep_empty) {
  std::vector<Piece> pieces;
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(text.find_first_of(separators, begin), text.size());
    if (keep_empty || end > begin)
      pieces.push_back({text.substr(begin, end - begin), offset + begin});
    if (end == text.size()) return pieces;
    begin = end + 1;
  }
}

// Reads one field into a set of bits; false after filling in `mistake`.
class FieldReader {
 public:
  FieldReader(const Field& field, CronMistake* mistake) : field_(field), mistake_(mistake) {}

  bool Read(const Piece& piece, uint64_t* bits) {
    for (const Piece& item : SplitAt(piece.text, piece.offset, ",", /*keep_empty=*/true)) {
      if (!ReadItem(item, bits)) return false;
    }
    return true;
  }

 private:
  bool Wrong(const Piece& piece, std::string message, std::string help = "") {
    *mistake_ = {piece.offset, piece.text.size(), std::move(message), std::move(help)};
    return false;
  }

  bool ReadItem(const Piece& item, uint64_t* bits) {
    if (item.text.empty()) return Wrong(item, "a list has an empty place");
    if (item.text.find_first_of("?LW#lw") != item.text.npos && !HasWord(item.text)) {
      return Wrong(item, absl::StrCat("`", std::string(item.text), "` is not supported"),
                   "?, L, W and # belong to other schedulers; a step can look at the date");
    }
    const std::vector<Piece> parts = SplitAt(item.text, item.offset, "/", true);
    if (parts.size() > 2) return Wrong(item, "a range has one step");
    int first = field_.first, last = field_.last;
    if (parts[0].text != "*" && !ReadRange(parts[0], parts.size() == 2, &first, &last))
      return false;
    int step = 1;
    if (parts.size() == 2 && (!Number(parts[1].text, &step) || step < 1 || step > 1000)) {
      return Wrong(parts[1], "a step is a number from 1 on", "as in */15");
    }
    for (int value = first; value <= last; value += step) *bits |= uint64_t{1} << value;
    return true;
  }

  bool ReadRange(const Piece& range, bool has_step, int* first, int* last) {
    const std::vector<Piece> ends = SplitAt(range.text, range.offset, "-", true);
    if (ends.size() > 2) return Wrong(range, "a range has two ends");
    if (!ReadValue(ends[0], first)) return false;
    *last = *first;
    if (ends.size() == 2 && !ReadValue(ends[1], last)) return false;
    if (ends.size() == 1 && has_step) {
      return Wrong(range, "a step needs a range",
                   absl::StrCat("write ", std::string(range.text), "-", field_.last));
    }
    if (*first <= *last) return true;
    return Wrong(
        range, "the range ends before it begins",
        absl::StrCat("write two: ", *first, "-", field_.last, ",", field_.first, "-", *last));
  }

  bool ReadValue(const Piece& piece, int* value) {
    for (int i = 0; i < field_.word_count; ++i) {
      if (Is(piece.text, field_.words[i])) {
        *value = field_.first + i;
        return true;
      }
    }
    if (Number(piece.text, value) && *value >= field_.first && *value <= field_.last) return true;
    return Wrong(piece, absl::StrCat(field_.name, " go from ", field_.first, " to ", field_.last,
                                     field_.word_count > 0
                                         ? absl::StrCat(", or ", field_.words[0], " to ",
                                                        field_.words[field_.word_count - 1])
                                         : ""));
  }

  // Names such as JUL hold an L.
  bool HasWord(std::string_view text) const {
    for (const Piece& piece : SplitAt(text, 0, "-/", false)) {
      for (int i = 0; i < field_.word_count; ++i) {
        if (Is(piece.text, field_.words[i])) return true;
      }
    }
    return false;
  }

  static bool Number(std::string_view text, int* value) {
    return !text.empty() && text.size() <= 4 &&
           std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return absl::ascii_isdigit(c); }) &&
           absl::SimpleAtoi(absl::string_view(text.data(), text.size()), value);
  }

  const Field& field_;
  CronMistake* mistake_;
};

std::optional<std::string_view> Expand(const Piece& piece, CronMistake* mistake) {
  for (const Alias& alias : kAliases) {
    if (Is(piece.text, alias.name)) return alias.fields;
  }
  *mistake = {piece.offset, piece.text.size(),
              absl::StrCat("`", std::string(piece.text), "` is not known"),
              "@hourly, @daily, @weekly, @monthly and @yearly are"};
  return std::nullopt;
}

}  // namespace

std::optional<Cron> Cron::Parse(std::string_view text, CronMistake* mistake) {
  if (text.size() > kTextBytesMax) {
    *mistake = {0, 0, "the timetable is too long", ""};
    return std::nullopt;
  }
  std::vector<Piece> pieces = SplitAt(text, 0, " \t\n", /*keep_empty=*/false);
  if (pieces.size() == 1 && pieces[0].text[0] == '@') {
    const auto fields = Expand(pieces[0], mistake);
    if (!fields) return std::nullopt;
    pieces = SplitAt(*fields, 0, " ", false);
  }
  if (pieces.size() != kFieldCount) {
    *mistake = {0, 0, "a timetable has five fields",
                pieces.size() == 6 ? "seconds and years are not supported"
                                   : "minute, hour, day of month, month, day of week"};
    return std::nullopt;
  }
  uint64_t bits[kFieldCount] = {};
  for (size_t i = 0; i < kFieldCount; ++i) {
    if (!FieldReader(kFields[i], mistake).Read(pieces[i], &bits[i])) return std::nullopt;
  }
  Cron cron;
  cron.minutes_ = bits[0];
  cron.hours_ = static_cast<uint32_t>(bits[1]);
  cron.days_ = static_cast<uint32_t>(bits[2]);
  cron.months_ = static_cast<uint16_t>(bits[3]);
  cron.weekdays_ = static_cast<uint8_t>((bits[4] & 0x7f) | (bits[4] >> 7 & 1));  // 7 is Sunday, too
  cron.either_day_ = pieces[2].text[0] != '*' && pieces[4].text[0] != '*';
  if (cron.Next(absl::UnixEpoch(), absl::UTCTimeZone()) == absl::InfiniteFuture()) {
    *mistake = {pieces[2].offset, pieces[2].text.size(), "no month of the timetable has such a day",
                "the timetable would never come due"};
    return std::nullopt;
  }
  return cron;
}

bool Cron::MatchesDay(absl::CivilDay day) const {
  if ((months_ >> day.month() & 1) == 0) return false;
  // absl::Weekday counts from Monday.
  const int weekday = (static_cast<int>(absl::GetWeekday(day)) + 1) % 7;
  const bool of_month = (days_ >> day.day() & 1) != 0;
  const bool of_week = (weekdays_ >> weekday & 1) != 0;
  return either_day_ ? of_month || of_week : of_month && of_week;
}

absl::Time Cron::Next(absl::Time after, absl::TimeZone zone) const {
  if (after == absl::InfiniteFuture()) return after;
  const absl::CivilMinute start(zone.At(after).cs);
  const absl::CivilDay last = absl::CivilDay(start) + 366 * kYearsMax;
  for (absl::CivilDay day(start); day <= last; ++day) {
    if (!MatchesDay(day)) continue;
    const bool today = day == absl::CivilDay(start);
    for (int hour = today ? start.hour() : 0; hour < 24; ++hour) {
      if ((hours_ >> hour & 1) == 0) continue;
      for (int minute = 0; minute < 60; ++minute) {
        if ((minutes_ >> minute & 1) == 0) continue;
        const absl::TimeZone::TimeInfo info =
            zone.At(absl::CivilSecond(day.year(), day.month(), day.day(), hour, minute));
        // Shown twice: `pre` is the first. Skipped: `trans` is when the gap ends.
        const absl::Time at =
            info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
        if (at > after) return at;
      }
    }
  }
  return absl::InfiniteFuture();
}

std::optional<absl::TimeZone> FindTimeZone(std::string_view name) {
  if (name == "UTC") return absl::UTCTimeZone();
  const bool plain =
      !name.empty() && name.size() <= kZoneBytesMax && absl::ascii_isalpha(name[0]) &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '/' || c == '_' || c == '+' || c == '-';
      });
  // "localtime" is whatever the machine is set to, and moves with it.
  absl::TimeZone zone;
  if (!plain || name == "localtime" || !absl::LoadTimeZone(std::string(name), &zone)) {
    return std::nullopt;
  }
  return zone;
}

}  // namespace beamline::flowspec
