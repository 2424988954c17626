// The turn of the loop, and what the clock makes due.
#include "daemon/schedule/scheduler.h"

#include <algorithm>
#include <future>
#include <memory>

#include "absl/strings/str_cat.h"
#include "daemon/schedule/agenda.h"

namespace beamline::schedule {
namespace {

// The wall clock may be set while the thread sleeps, and nothing tells: so it looks that often.
constexpr absl::Duration kLook = absl::Seconds(1);

flowspec::Trigger::Catchup CatchupOf(const std::string& word) {
  if (word == "all") return flowspec::Trigger::Catchup::kAll;
  return word == "last" ? flowspec::Trigger::Catchup::kLast : flowspec::Trigger::Catchup::kNone;
}

}  // namespace

absl::Status Scheduler::Load() {
  const auto rows = hands_.registry.ListTriggers("", "");
  if (!rows.ok()) return rows.status();
  for (const ports::TriggerRow& row : *rows) Add(row);
  absl::Status status = ReadDue();
  Count();
  return status;
}

void Scheduler::Start() {
  thread_ = std::thread([this] {
    while (true) {
      Step(absl::InfiniteDuration());
      ports::MutexLock lock(&mu_);
      if (stopping_) return;
    }
  });
}

void Scheduler::Stop() {
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Scheduler::FlowChanged(const std::string& tenant, const std::string& flow) {
  ports::MutexLock lock(&mu_);
  changed_.emplace_back(tenant, flow);
  woken_ = true;
}

void Scheduler::RunEnded(const run::RunId& run) {
  // Almost all runs concern no trigger: those cost two loads.
  const bool owes = hands_.registry.due_by_runs() != due_seen_;
  if (!owes && watched_count_ == 0) return;
  ports::MutexLock lock(&mu_);
  const auto watched = watched_.find(run);
  if (watched != watched_.end()) {
    unblocked_.push_back(watched->second);
    watched_.erase(watched);
    watched_count_ = watched_.size();
    woken_ = true;
  }
  woken_ = woken_ || owes;
}

absl::Duration Scheduler::UntilNext(absl::Duration wait) {
  if (first_look_ || !ready_.empty()) {
    if (!try_again_) return absl::ZeroDuration();
    return std::min(wait, kLook);
  }
  if (agenda_.empty()) return wait;
  const absl::Duration until = agenda_.begin()->first - hands_.sources.clock.Now();
  return std::clamp(until, absl::ZeroDuration(), std::min(wait, kLook));
}

void Scheduler::Step(absl::Duration wait) {
  std::vector<std::pair<std::string, std::string>> changed;
  {
    const absl::Duration until = failed_ ? wait : UntilNext(wait);
    ports::MutexLock lock(&mu_);
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return woken_ || stopping_; };
    mu_.AwaitFor(ready, until);
    woken_ = false;
    if (stopping_ || failed_) return;
    changed.swap(changed_);
    ready_.insert(unblocked_.begin(), unblocked_.end());
    unblocked_.clear();
  }
  try_again_ = false;
  for (const auto& [tenant, flow] : changed) Reload(tenant, flow);
  const bool owed = hands_.registry.due_by_runs() != due_seen_;
  if ((owed || !changed.empty()) && !ReadDue().ok()) try_again_ = true;
  const absl::Time now = hands_.sources.clock.Now();
  if (first_look_ || now < last_look_) Rewind(now);
  FireTimetables(now);
  first_look_ = false;
  last_look_ = now;
  if (!failed_) Serve(now);
  Count();
}

void Scheduler::Add(const ports::TriggerRow& row) {
  Entry& entry = entries_[row.no];
  entry.row = row;
  if (row.spec.kind != "cron") return;
  flowspec::CronMistake ignored;  // it was checked when the flow was registered
  const auto zone = flowspec::FindTimeZone(row.spec.tz);
  entry.cron = flowspec::Cron::Parse(row.spec.what, &ignored);
  if (!zone || !entry.cron) {
    entry.cron.reset();  // the machine has lost its zones: nothing can be known about this one
    return;
  }
  entry.zone = *zone;
  Plan(entry);
}

void Scheduler::Plan(Entry& entry) {
  agenda_.erase({entry.next, entry.row.no});
  entry.next = entry.cron->Next(entry.row.cursor, entry.zone);
  agenda_.insert({entry.next, entry.row.no});
}

void Scheduler::Reload(const std::string& tenant, const std::string& flow) {
  const auto rows = hands_.registry.ListTriggers(tenant, flow);
  if (!rows.ok()) return;  // what is known goes on until the next change
  for (auto at = entries_.begin(); at != entries_.end();) {
    const Entry& entry = at->second;
    const bool stays = entry.row.tenant != tenant || entry.row.flow != flow;
    if (!stays) agenda_.erase({entry.next, at->first});
    const auto old = at++;
    if (!stays) entries_.erase(old);
  }
  for (const ports::TriggerRow& row : *rows) {
    Add(row);
    ready_.insert(row.no);
  }
}

absl::Status Scheduler::ReadDue() {
  const uint64_t seen = hands_.registry.due_by_runs();
  const auto starts = hands_.registry.ListDue();
  if (!starts.ok()) return starts.status();
  for (auto& [no, entry] : entries_) entry.due.clear();
  for (const ports::DueStart& due : *starts) {
    const auto entry = entries_.find(due.trigger);
    if (entry != entries_.end()) entry->second.due.push_back(due);
    if (due.no > last_due_) ready_.insert(due.trigger);
  }
  if (!starts->empty()) last_due_ = std::max(last_due_, starts->back().no);
  due_seen_ = seen;
  return absl::OkStatus();
}

void Scheduler::Rewind(absl::Time now) {
  Changes changes;
  for (auto& [no, entry] : entries_) {
    if (!entry.cron || entry.row.cursor <= now + kRewindMax) continue;
    ports::TriggerChange change{.trigger = no, .cursor = now};
    Note(entry, &change, entry.row.cursor, now, "skipped",
         "the clock was put back by days; the timetable begins anew");
    entry.row.cursor = now;
    Plan(entry);
    changes.push_back(std::move(change));
  }
  Record(changes);
}

void Scheduler::FireTimetables(absl::Time now) {
  Changes changes;
  std::vector<Entry*> fired;
  for (auto at = agenda_.begin(); at != agenda_.end() && at->first <= now; ++at) {
    fired.push_back(&entries_.at(at->second));
  }
  for (Entry* entry : fired) Fire(*entry, now, &changes);
  if (changes.empty() || !Record(changes)) return;
  if (!ReadDue().ok()) try_again_ = true;
}

void Scheduler::Fire(Entry& entry, absl::Time now, Changes* changes) {
  const ports::TriggerSpec& spec = entry.row.spec;
  Agenda agenda =
      Decide(*entry.cron, entry.zone, CatchupOf(spec.catchup), entry.row.cursor, now, first_look_);
  ports::TriggerChange change{.trigger = entry.row.no, .cursor = agenda.cursor};
  if (agenda.missed) {
    Note(entry, &change, *agenda.missed, now, "missed",
         spec.catchup == "all" ? "more starts were missed than are made up for at once"
                               : "the daemon was down, and `catchup` is none");
  }
  const bool occupied = spec.overlap == "skip" && (!entry.due.empty() || GoesOn(entry));
  if (occupied && !agenda.starts.empty()) {
    Note(entry, &change, agenda.starts.back(), now, "skipped",
         "the run before went on, and `overlap` is skip");
    agenda.starts.clear();
  }
  change.owe = std::move(agenda.starts);
  entry.row.cursor = agenda.cursor;
  Plan(entry);
  changes->push_back(std::move(change));
}

void Scheduler::Note(Entry& entry, ports::TriggerChange* change, absl::Time scheduled_at,
                     absl::Time now, std::string decision, std::string reason) {
  entry.row.last = {scheduled_at, now, std::move(decision), std::move(reason)};
  change->last = entry.row.last;
  if (hands_.decided) hands_.decided(entry.row, entry.row.last);
}

bool Scheduler::Record(const Changes& changes) {
  if (changes.empty()) return true;
  auto promise = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> written = promise->get_future();
  hands_.write([this, promise, &changes] { promise->set_value(hands_.registry.Change(changes)); });
  const absl::Status status = written.get();
  failed_ = !status.ok();
  if (failed_ && hands_.fatal) hands_.fatal(status);
  return !failed_;
}

void Scheduler::Count() {
  size_t pending = agenda_.size();
  for (const uint64_t no : ready_) pending += entries_.contains(no) ? 1 : 0;
  pending_ = pending;
}

}  // namespace beamline::schedule
