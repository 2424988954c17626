// Reads a run's streams; see feed.h.
#include "cli/feed.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "absl/time/clock.h"

namespace beamline::cli {
namespace {

// A reader that is slow (a blocked pipe) slows the streams down instead of filling the memory.
constexpr size_t kQueueMax = 4096;
constexpr size_t kChunksMax = 128;  // of up to 64 KiB
// Output whose attempt no event tells of is shown after this time: that is better than never.
constexpr absl::Duration kEventPatience = absl::Seconds(1);
constexpr absl::Duration kPatience = absl::Seconds(15);
constexpr absl::Duration kRetryInterval = absl::Milliseconds(100);

// True if all that an attempt printed is in the daemon's store now.
bool EndsOutput(const v1::ExecutionEvent& event) { return event.has_attempt_finished(); }

}  // namespace

Feed::Feed(Client& client, std::string run_id, bool with_output, std::function<void()> revive)
    : client_(client),
      run_id_(std::move(run_id)),
      with_output_(with_output),
      revive_(std::move(revive)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  events_thread_ = std::thread([this] { ReadEvents(); });
  if (with_output_) output_thread_ = std::thread([this] { ReadOutput(); });
}

Feed::~Feed() {
  stopping_ = true;
  events_stopper_.Stop();
  output_stopper_.Stop();
  catch_up_stopper_.Stop();
  Take();  // lets a reader go that waits for room
  events_thread_.join();
  if (output_thread_.joinable()) output_thread_.join();
  close(wake_fd_);
}

std::vector<Feed::Entry> Feed::Take() {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t got = read(wake_fd_, &count, sizeof(count));
  flowspec::MutexLock lock(&mu_);
  return std::exchange(queue_, {});
}

bool Feed::events_ended() const {
  flowspec::MutexLock lock(&mu_);
  return events_ended_ && queue_.empty();
}

absl::Status Feed::status() const {
  flowspec::MutexLock lock(&mu_);
  return status_;
}

void Feed::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wake_fd_, &one, sizeof(one));
}

void Feed::Push(Entry entry) {
  {
    flowspec::MutexLock lock(&mu_);
    mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return queue_.size() < kQueueMax || stopping_;
    });
    queue_.push_back(std::move(entry));
  }
  Wake();
}

absl::Status Feed::Persist(const std::function<absl::Status(bool*)>& stream) {
  absl::Time limit = absl::Now() + kPatience;
  while (true) {
    bool progressed = false;
    absl::Status status = stream(&progressed);
    if (!absl::IsUnavailable(status) || stopping_) return status;
    if (progressed) limit = absl::Now() + kPatience;
    if (absl::Now() > limit) return status;
    absl::SleepFor(kRetryInterval);
    if (revive_ && !stopping_) revive_();
  }
}

void Feed::ReadEvents() {
  v1::StreamExecutionEventsRequest request;
  request.set_run_id(run_id_);
  request.set_follow(true);
  absl::Status status = Persist([&](bool* progressed) {
    return client_.StreamEvents(request, &events_stopper_, [&](const EventBatch& events) {
      *progressed = true;
      PushEvents(events);
      request.set_after_seq(events.rbegin()->seq());
      return !stopping_;
    });
  });
  {
    flowspec::MutexLock lock(&mu_);
    status_ = std::move(status);
    events_ended_ = true;
  }
  Wake();
}

void Feed::ReadOutput() {
  v1::TailOutputRequest request;
  request.set_run_id(run_id_);
  request.set_follow(true);
  // An error here costs only output; the events say how the run goes.
  Persist([&](bool* progressed) {
    request.set_offset(output_offset());
    return client_.TailOutput(request, &output_stopper_, [&](const v1::TailOutputResponse& chunk) {
      *progressed = true;
      LetEventsPass(chunk);
      PushOutput(chunk);
      return !stopping_;
    });
  }).IgnoreError();
}

void Feed::PushEvents(const EventBatch& events) {
  Chunks chunks;
  bool caught_up = !with_output_;
  for (const v1::ExecutionEvent& event : events) {
    if (!caught_up && EndsOutput(event)) CatchUp(&chunks);
    caught_up = caught_up || EndsOutput(event);
    for (size_t due = CountDue(chunks, event); due > 0; --due) {
      PushOutput(chunks.front());
      chunks.pop_front();
    }
    Push(event);
    NoteAttempt(event);
  }
  // What is left comes again, with the other stream or before a later end.
}

void Feed::CatchUp(Chunks* chunks) {
  v1::TailOutputRequest request;
  request.set_run_id(run_id_);
  request.set_offset(output_offset());
  client_
      .TailOutput(request, &catch_up_stopper_,
                  [&](const v1::TailOutputResponse& chunk) {
                    chunks->push_back(chunk);
                    if (chunks->size() > kChunksMax) {
                      PushOutput(chunks->front());
                      chunks->pop_front();
                    }
                    return !stopping_;
                  })
      .IgnoreError();
}

size_t Feed::CountDue(const Chunks& chunks, const v1::ExecutionEvent& event) const {
  flowspec::MutexLock lock(&mu_);
  size_t due = 0;
  while (due < chunks.size() && HasBegun(chunks[due])) ++due;
  if (!event.has_attempt_finished()) return due;
  for (size_t i = due; i < chunks.size(); ++i) {
    if (chunks[i].path() == event.attempt_finished().path()) due = i + 1;
  }
  return due;
}

void Feed::NoteAttempt(const v1::ExecutionEvent& event) {
  if (!event.has_attempt_started()) return;
  flowspec::MutexLock lock(&mu_);
  begun_[event.attempt_started().path()] = event.attempt_started().attempt();
}

bool Feed::HasBegun(const v1::TailOutputResponse& chunk) const {
  auto at = begun_.find(chunk.path());
  return at != begun_.end() && at->second >= chunk.attempt();
}

void Feed::LetEventsPass(const v1::TailOutputResponse& chunk) {
  if (chunk.next_offset() <= output_offset()) return;
  flowspec::MutexLock lock(&mu_);
  mu_.AwaitFor([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || HasBegun(chunk); },
               kEventPatience);
}

void Feed::PushOutput(const v1::TailOutputResponse& chunk) {
  flowspec::MutexLock lock(&output_mu_);
  if (chunk.next_offset() <= output_offset_) return;
  output_offset_ = chunk.next_offset();
  Push(chunk);
}

uint64_t Feed::output_offset() const {
  flowspec::MutexLock lock(&output_mu_);
  return output_offset_;
}

}  // namespace beamline::cli
