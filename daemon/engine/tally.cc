// Sixty seconds and sixty minutes, each in a ring that forgets by itself.
#include "daemon/engine/tally.h"

namespace beamline::engine {
namespace {

void AddTo(const Totals& more, Totals* sum) {
  sum->started += more.started;
  sum->succeeded += more.succeeded;
  sum->failed += more.failed;
  sum->cancelled += more.cancelled;
  sum->nano_usd += more.nano_usd;
  sum->tokens += more.tokens;
  sum->requests += more.requests;
  sum->unpriced += more.unpriced;
}

size_t Index(ports::RunStatus status) { return static_cast<size_t>(status); }

}  // namespace

Totals& Tally::Ring::At(absl::Time now) {
  const int64_t at = absl::ToUnixSeconds(now) / seconds;
  Slot& slot = slots[static_cast<size_t>(at) % slots.size()];
  if (slot.at != at) slot = {at, {}};
  return slot.totals;
}

Totals Tally::Ring::Sum(absl::Time now) const {
  const int64_t at = absl::ToUnixSeconds(now) / seconds;
  Totals sum;
  for (const Slot& slot : slots) {
    if (slot.at > at - static_cast<int64_t>(slots.size()) && slot.at <= at) {
      AddTo(slot.totals, &sum);
    }
  }
  return sum;
}

template <class Change>
void Tally::Add(absl::Time now, const Change& change) {
  for (Totals* totals : {&total_, &by_second_.At(now), &by_minute_.At(now)}) change(*totals);
}

void Tally::Enter(ports::RunStatus status, absl::Time now) {
  if (!ports::IsFinished(status)) {
    ++runs_[Index(status)];
    return;
  }
  Add(now, [status](Totals& totals) {
    ++(status == ports::RunStatus::kSucceeded ? totals.succeeded
       : status == ports::RunStatus::kFailed  ? totals.failed
                                              : totals.cancelled);
  });
}

void Tally::Found(ports::RunStatus status) {
  ports::MutexLock lock(&mu_);
  ++runs_[Index(status)];
}

void Tally::Started(ports::RunStatus status, absl::Time now) {
  ports::MutexLock lock(&mu_);
  Add(now, [](Totals& totals) { ++totals.started; });
  Enter(status, now);
}

void Tally::Moved(ports::RunStatus from, ports::RunStatus to, absl::Time now) {
  ports::MutexLock lock(&mu_);
  if (!ports::IsFinished(from)) --runs_[Index(from)];
  Enter(to, now);
}

void Tally::Spent(const run::Usage& usage, absl::Time now) {
  if (usage.requests == 0) return;
  ports::MutexLock lock(&mu_);
  Add(now, [&usage](Totals& totals) {
    totals.nano_usd += usage.nano_usd.value_or(0);
    totals.tokens += usage.input_tokens + usage.output_tokens;
    const auto requests = static_cast<uint64_t>(usage.requests);
    totals.requests += requests;
    if (!usage.nano_usd) totals.unpriced += requests;
  });
}

Tally::Sums Tally::Look(absl::Time now) const {
  ports::MutexLock lock(&mu_);
  return {runs_, total_, by_second_.Sum(now), by_minute_.Sum(now)};
}

}  // namespace beamline::engine
