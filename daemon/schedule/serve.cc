// Making the starts that are owed, as far as `overlap` lets them.
#include <future>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/schedule/scheduler.h"

namespace beamline::schedule {
namespace {

// Starts that are under way at once.
constexpr size_t kStartsMax = 256;
// Starts that wait for one trigger's runs to end.
constexpr size_t kQueueMax = 1000;

// How often a start is tried whose inputs took too long to evaluate, or whose evaluator was killed:
// a busy machine explains both, and the next time may be a day away.
constexpr int kTriesMax = 5;

bool MayPass(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsInternal(status);
}

// What passes by itself: the daemon drains, or the evaluator is being replaced.
bool Passing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status);
}

}  // namespace

void Scheduler::Serve(absl::Time now) {
  while (!ready_.empty() && !failed_) {
    std::vector<Attempt> attempts;
    Changes changes;
    while (!ready_.empty() && attempts.size() < kStartsMax) {
      const uint64_t no = *ready_.begin();
      ready_.erase(ready_.begin());
      const auto entry = entries_.find(no);
      if (entry != entries_.end()) Choose(entry->second, now, &attempts, &changes);
    }
    Make(attempts);
    for (const Attempt& attempt : attempts) Conclude(attempt, now, &changes);
    if (!Record(changes) || try_again_) return;
  }
}

void Scheduler::Choose(Entry& entry, absl::Time now, std::vector<Attempt>* attempts,
                       Changes* changes) {
  if (entry.due.empty()) return;
  const std::string& overlap = entry.row.spec.overlap;
  if (overlap == "allow") {
    for (const ports::DueStart& due : entry.due) attempts->push_back({entry.row.no, due});
    return;
  }
  if (!GoesOn(entry)) {
    attempts->push_back({entry.row.no, entry.due.front()});
    return;
  }
  ports::TriggerChange change{.trigger = entry.row.no};
  const size_t keep = overlap == "queue" ? kQueueMax : 0;
  if (entry.due.size() > keep) {
    Note(entry, &change, entry.due.back().scheduled_at, now, "skipped",
         keep == 0 ? std::string("the run before went on, and `overlap` is skip")
                   : absl::StrCat(kQueueMax, " starts wait already"));
  } else if (entry.row.last.decision != "queued" ||
             entry.row.last.scheduled_at != entry.due.back().scheduled_at) {
    Note(entry, &change, entry.due.back().scheduled_at, now, "queued", "the run before goes on");
  }
  while (entry.due.size() > keep) {
    change.settle.push_back(entry.due.back().no);
    entry.due.pop_back();
  }
  if (change.last) changes->push_back(std::move(change));
}

bool Scheduler::GoesOn(const Entry& entry) {
  if (!entry.row.run) return false;
  {
    // Before the look: an end that comes between is not missed.
    ports::MutexLock lock(&mu_);
    watched_[*entry.row.run] = entry.row.no;
    watched_count_ = watched_.size();
  }
  const auto row = hands_.sources.events.GetRun(*entry.row.run);
  if (row.ok() && !ports::IsFinished(row->status)) return true;
  ports::MutexLock lock(&mu_);
  watched_.erase(*entry.row.run);
  watched_count_ = watched_.size();
  return false;
}

void Scheduler::Make(std::vector<Attempt>& attempts) {
  using Result = absl::StatusOr<engine::Started>;
  std::vector<std::future<Result>> results;
  for (const Attempt& attempt : attempts) {
    auto promise = std::make_shared<std::promise<Result>>();
    results.push_back(promise->get_future());
    auto request = MakeRequest(hands_.sources, entries_.at(attempt.trigger).row, attempt.due);
    if (!request.ok()) {
      promise->set_value(request.status());
      continue;
    }
    hands_.start(*std::move(request),
                 [promise](Result result) { promise->set_value(std::move(result)); });
  }
  for (size_t i = 0; i < attempts.size(); ++i) attempts[i].result = results[i].get();
}

void Scheduler::Conclude(const Attempt& attempt, absl::Time now, Changes* changes) {
  Entry& entry = entries_.at(attempt.trigger);
  const absl::Status& status = attempt.result.status();
  if (Passing(status) || (MayPass(status) && ++entry.tries < kTriesMax)) {
    ready_.insert(attempt.trigger);
    try_again_ = true;
    return;
  }
  entry.tries = 0;
  ports::TriggerChange change{.trigger = attempt.trigger, .settle = {attempt.due.no}};
  if (status.ok()) {
    change.run = entry.row.run = attempt.result->run;
    Note(entry, &change, attempt.due.scheduled_at, now, "started", "");
  } else {
    Note(entry, &change, attempt.due.scheduled_at, now,
         absl::IsAborted(status) && attempt.due.cause ? "skipped" : "failed",
         std::string(status.message()));
  }
  changes->push_back(std::move(change));
  std::erase_if(entry.due, [&](const ports::DueStart& due) { return due.no == attempt.due.no; });
  if (!entry.due.empty()) ready_.insert(attempt.trigger);
}

}  // namespace beamline::schedule
