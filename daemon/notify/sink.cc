// The turn of a sink.
#include "daemon/notify/sink.h"

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::notify {
namespace {

// Read at once: what a sink holds in memory.
constexpr int kEntriesMax = 256;
constexpr size_t kEntryBytesMax = 1 << 20;
constexpr int kLettersMax = 200;

// While the log grows it is read this often, not after every commit.
constexpr absl::Duration kGather = absl::Milliseconds(20);
// How often the cursor is written: after a delivery, and where nothing was to be delivered. What
// lies between is delivered, or only read, again after a crash.
constexpr absl::Duration kSaveDelivered = absl::Milliseconds(100);
constexpr absl::Duration kSaveRead = absl::Seconds(10);

constexpr absl::Duration kRetryFirst = absl::Seconds(1);
constexpr absl::Duration kRetryMax = absl::Minutes(5);
constexpr absl::Duration kRetryAfterMax = absl::Hours(1);

}  // namespace

absl::Duration RetryDelay(int tries, absl::Duration retry_after) {
  absl::Duration delay = kRetryFirst;
  for (int i = 1; i < tries && delay < kRetryMax; ++i) delay *= 2;
  return std::max(std::min(delay, kRetryMax), std::min(retry_after, kRetryAfterMax));
}

std::string Sink::CursorName(const Rule& rule) { return absl::StrCat("notify/", rule.name); }

Sink::Sink(Rule rule, std::unique_ptr<Courier> courier, uint64_t position, const Hands& hands)
    : rule_(std::move(rule)),
      hands_(hands),
      courier_(std::move(courier)),
      read_(position),
      saved_(position) {
  status_.name = rule_.name;
  status_.position = position;
}

void Sink::Start() {
  thread_ = std::thread([this] {
    while (!Wait(absl::ZeroDuration())) Step(absl::InfiniteDuration());
    Save(/*now=*/true);
  });
}

void Sink::Stop() {
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
  }
  courier_->Cancel();
  if (thread_.joinable()) thread_.join();
}

void Sink::Wake() {
  if (!idle_.exchange(false)) return;
  ports::MutexLock lock(&mu_);
  woken_ = true;
}

SinkStatus Sink::status() const {
  ports::MutexLock lock(&mu_);
  return status_;
}

bool Sink::Wait(absl::Duration wait) {
  ports::MutexLock lock(&mu_);
  if (wait <= absl::ZeroDuration()) return stopping_;
  return mu_.AwaitFor([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; }, wait);
}

void Sink::Step(absl::Duration wait) {
  if (failed_) {
    Wait(wait);
    return;
  }
  if (due_.empty()) return ReadOn(wait);
  const absl::Time now = hands_.clock.Now();
  const absl::Time next = status().next_try_at;
  // A clock that was put back must not make anybody wait for hours.
  if (next > now && now >= tried_at_) {
    Save(/*now=*/true);
    Wait(std::min(wait, next - now));
    return;
  }
  Try();
}

void Sink::ReadOn(absl::Duration wait) {
  auto entries = hands_.log.ReadLog(read_, kEntriesMax, kEntryBytesMax);
  if (!entries.ok()) {
    hands_.unreadable(rule_.name, entries.status());
    Wait(std::min(wait, kRetryMax));
    return;
  }
  for (const auto& entry : *entries) Take(entry);
  if (!entries->empty()) read_ = entries->back().position;
  if (due_.empty()) {
    ports::MutexLock lock(&mu_);
    status_.position = read_;
  }
  Save(/*now=*/false);
  if (!entries->empty()) return;
  // Whatever was appended before it is known that somebody waits wakes nobody: it is looked for.
  if (!idle_.exchange(true)) return;
  const bool unsaved = read_ != saved_;
  bool woken = false;
  {
    ports::MutexLock lock(&mu_);
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return woken_ || stopping_; };
    mu_.AwaitFor(ready, unsaved ? std::min(wait, delivered_ ? kSaveDelivered : kSaveRead) : wait);
    woken = std::exchange(woken_, false);
  }
  if (woken && wait > kGather) Wait(kGather);
}

void Sink::Take(const ports::FollowedLog::Entry& entry) {
  if (!entry.events.ok()) return hands_.unreadable(rule_.name, entry.events.status());
  for (const run::Event& event : *entry.events) {
    for (const Occasion& occasion : OccasionsOf(entry.run, event)) {
      if (!Wants(rule_, occasion.kind)) continue;
      auto complete = Complete(occasion);
      if (absl::IsNotFound(complete.status())) continue;
      if (!complete.ok()) {
        hands_.unreadable(rule_.name, complete.status());
        continue;
      }
      for (Occasion& whole : *complete) due_.push_back({std::move(whole), entry.position});
    }
  }
  if (!due_.empty() && due_.back().position == entry.position) due_.back().last = true;
}

absl::StatusOr<std::vector<Occasion>> Sink::Complete(const Occasion& occasion) {
  const auto row = hands_.events.GetRun(occasion.run);
  if (!row.ok()) return row.status();
  if (!Follows(rule_, row->flow_name, row->labels)) return std::vector<Occasion>();
  Occasion whole = occasion;
  whole.flow = row->flow_name;
  whole.labels = row->labels;
  switch (whole.kind) {
    case Kind::kDeadLetter:
      return DeadLetters(whole);
    case Kind::kApprovalDelegated:
    case Kind::kApprovalEscalated:
    case Kind::kApprovalExpired: {
      const auto task = hands_.tasks.GetTask(row->tenant, whole.task);
      if (!task.ok()) return task.status();
      whole.title = task->title;
      whole.round = task->round;
      break;
    }
    case Kind::kRunSucceeded:
    case Kind::kRunFailed:
    case Kind::kRunCancelled: {
      const auto events = hands_.events.Read(whole.run, 0, 1);
      if (!events.ok()) return events.status();
      const auto* started =
          events->empty() ? nullptr : std::get_if<run::RunStarted>(&events->front().fact);
      if (started != nullptr && started->parent) return std::vector<Occasion>();
      break;
    }
    case Kind::kApprovalRequested:
    case Kind::kStepParked:
      break;
  }
  return std::vector<Occasion>{std::move(whole)};
}

// The list of the dead letters says more than the event; those that were seen to since are not
// in it, and nobody needs to hear of them.
absl::StatusOr<std::vector<Occasion>> Sink::DeadLetters(const Occasion& occasion) {
  const bool parked = !occasion.path.empty();
  const auto rows =
      hands_.events.ListDeadLetters({.run = occasion.run, .parked = parked, .limit = kLettersMax});
  if (!rows.ok()) return rows.status();
  std::vector<Occasion> found;
  for (auto row = rows->rbegin(); row != rows->rend(); ++row) {  // oldest first
    if (parked && row->letter.path != occasion.path) continue;
    Occasion& letter = found.emplace_back(occasion);
    letter.letter = row->number;
    letter.path = row->letter.path;
    letter.reason = row->letter.reason;
    letter.error = row->letter.error;
  }
  return found;
}

Delivery Sink::Deliver(const Occasion& occasion) {
  auto promise = std::make_shared<std::promise<Delivery>>();
  std::future<Delivery> done = promise->get_future();
  courier_->Send(occasion,
                 [promise](Delivery delivery) { promise->set_value(std::move(delivery)); });
  return done.get();
}

void Sink::Try() {
  tried_at_ = hands_.clock.Now();
  const Delivery delivery = Deliver(due_.front().occasion);
  if (!delivery.delivered && Wait(absl::ZeroDuration())) return;  // it was cut off
  Conclude(delivery);
}

void Sink::Conclude(const Delivery& delivery) {
  const Occasion& occasion = due_.front().occasion;
  const absl::Time now = hands_.clock.Now();
  Trouble trouble{.sink = rule_.name, .occasion = occasion, .error = delivery.error};
  {
    ports::MutexLock lock(&mu_);
    trouble.tries = ++status_.tries;
    trouble.given_up =
        !delivery.delivered && (delivery.refused || now - occasion.time >= rule_.give_up_after);
    status_.delivered += delivery.delivered ? 1 : 0;
    status_.given_up += trouble.given_up ? 1 : 0;
    trouble.given_up_count = status_.given_up;
    if (!delivery.delivered && !trouble.given_up) {
      trouble.next_try = RetryDelay(status_.tries, delivery.retry_after);
      status_.last_error = delivery.error;
      status_.waiting_since = occasion.time;
      status_.next_try_at = now + trouble.next_try;
    }
  }
  if (!delivery.delivered) hands_.trouble(trouble);
  if (delivery.delivered || trouble.given_up) MoveOn();
}

void Sink::MoveOn() {
  const Due done = std::move(due_.front());
  due_.pop_front();
  {
    ports::MutexLock lock(&mu_);
    if (done.last) status_.position = due_.empty() ? read_ : done.position;
    status_.tries = 0;
    status_.last_error.clear();
    status_.waiting_since = status_.next_try_at = absl::InfinitePast();
  }
  delivered_ = true;
  Save(/*now=*/false);
}

void Sink::Save(bool now) {
  const uint64_t position = status().position;
  const absl::Time time = hands_.clock.Now();
  const absl::Duration wait = delivered_ ? kSaveDelivered : kSaveRead;
  if (failed_ || position == saved_) return;
  if (!now && time >= saved_at_ && time - saved_at_ < wait) return;
  auto promise = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> written = promise->get_future();
  hands_.write([this, promise, position] {
    promise->set_value(hands_.log.MoveCursor(CursorName(rule_), position));
  });
  const absl::Status status = written.get();
  failed_ = !status.ok();
  if (failed_) return hands_.fatal(status);
  saved_ = position;
  saved_at_ = time;
  delivered_ = false;
}

}  // namespace beamline::notify
