// Cursors found and made.
#include "daemon/notify/notifier.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace beamline::notify {

absl::Status Notifier::Load(const std::vector<Rule>& rules, const MakeCourier& make_courier) {
  auto cursors = hands_.log.Cursors();
  if (!cursors.ok()) return cursors.status();
  const auto end = hands_.log.LogEnd();
  if (!end.ok()) return end.status();
  for (const Rule& rule : rules) {
    const std::string name = Sink::CursorName(rule);
    const auto known = cursors->find(name);
    uint64_t position = *end;
    if (known != cursors->end()) {
      position = known->second;
      cursors->erase(known);
    } else if (absl::Status s = hands_.log.MoveCursor(name, position); !s.ok()) {
      return s;
    }
    sinks_.push_back(std::make_unique<Sink>(rule, make_courier(rule), position, hands_));
  }
  for (const auto& [name, position] : *cursors) {
    if (!absl::StartsWith(name, "notify/")) continue;
    if (absl::Status s = hands_.log.DropCursor(name); !s.ok()) return s;
  }
  return absl::OkStatus();
}

void Notifier::Start() {
  for (const auto& sink : sinks_) sink->Start();
}

void Notifier::Stop() {
  for (const auto& sink : sinks_) sink->Stop();
}

void Notifier::Appended() {
  for (const auto& sink : sinks_) sink->Wake();
}

bool Notifier::busy() const {
  return std::any_of(sinks_.begin(), sinks_.end(),
                     [](const auto& sink) { return sink->status().tries > 0; });
}

std::vector<Notifier::Status> Notifier::status() const {
  std::vector<Status> all;
  if (sinks_.empty()) return all;
  const auto end = hands_.log.LogEnd();
  for (const auto& sink : sinks_) {
    Status& one = all.emplace_back(Status{sink->status(), 0});
    if (end.ok() && *end > one.sink.position) one.entries_behind = *end - one.sink.position;
  }
  return all;
}

std::vector<std::string> Notifier::Problems(absl::Time now) const {
  std::vector<std::string> problems;
  for (const auto& [sink, entries_behind] : status()) {
    if (sink.tries == 0) continue;
    const auto shown = [](absl::Duration duration) {
      return absl::FormatDuration(
          absl::Trunc(std::max(duration, absl::ZeroDuration()), absl::Seconds(1)));
    };
    problems.push_back(absl::StrCat("notify: `", sink.name, "` has not taken what it is told for ",
                                    shown(now - sink.waiting_since), " (", sink.tries,
                                    sink.tries == 1 ? " try" : " tries", ", the next in ",
                                    shown(sink.next_try_at - now), "; ", entries_behind,
                                    " entries of the log behind): ", sink.last_error));
  }
  return problems;
}

}  // namespace beamline::notify
