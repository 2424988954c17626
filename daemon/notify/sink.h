// One sink: reads the log behind its cursor, has what concerns it delivered, moves the cursor.
//
// The cursor is moved after the delivery, so what was cut off in between is delivered again, and
// nothing is lost. Nothing is queued: who falls behind reads the log later.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/notify/courier.h"
#include "daemon/notify/occasion.h"
#include "daemon/notify/rule.h"
#include "daemon/ports/clock.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/followed_log.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/task_index.h"

namespace beamline::notify {

// An occasion that was not delivered, to be logged.
struct Trouble {
  std::string sink;
  Occasion occasion;
  std::string error;
  int tries = 0;
  uint64_t given_up_count = 0;  // of the sink, since the start
  bool given_up = false;        // else it is tried again:
  absl::Duration next_try = absl::ZeroDuration();
};

// What a sink acts through. All of it outlives the sink.
struct Hands {
  ports::FollowedLog& log;
  ports::EventStore& events;
  ports::TaskIndex& tasks;
  ports::Clock& clock;
  // Does some work on the thread that writes (Engine::Write).
  std::function<void(std::function<void()>)> write;
  std::function<void(const Trouble&)> trouble;
  // An entry of the log, or what belongs to it, cannot be read: it is left out.
  std::function<void(const std::string& sink, const absl::Status&)> unreadable;
  // Nothing can be recorded any more: the process is to end and to recover from disk.
  std::function<void(const absl::Status&)> fatal;
};

struct SinkStatus {
  std::string name;
  uint64_t delivered = 0, given_up = 0;  // since the start
  uint64_t position = 0;                 // in the log, up to which nothing is left to do
  std::string last_error;                // of the occasion that waits to be tried again
  int tries = 0;
  absl::Time waiting_since = absl::InfinitePast();
  absl::Time next_try_at = absl::InfinitePast();
};

class Sink {
 public:
  // `position`: the cursor.
  Sink(Rule rule, std::unique_ptr<Courier> courier, uint64_t position, const Hands& hands);
  ~Sink() { Stop(); }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  void Start();
  // Cuts off what is being delivered. REQUIRES: Hands::write still works.
  void Stop();
  // Thread-safe. The log has grown. Costs one load while the sink is busy.
  void Wake();
  SinkStatus status() const;

  // One turn, waiting at most `wait` for something to do: reads on, or tries what it has read. For
  // tests; Start() does it on a thread.
  void Step(absl::Duration wait);

  static std::string CursorName(const Rule& rule);

 private:
  struct Due {
    Occasion occasion;
    uint64_t position = 0;  // of its entry
    bool last = false;      // of its entry
  };

  void ReadOn(absl::Duration wait);
  void Take(const ports::FollowedLog::Entry& entry);
  // Adds what the event does not say. NotFound: it is gone with its run, or seen to already.
  absl::StatusOr<std::vector<Occasion>> Complete(const Occasion& occasion);
  absl::StatusOr<std::vector<Occasion>> DeadLetters(const Occasion& occasion);
  Delivery Deliver(const Occasion& occasion);
  void Try();
  void Conclude(const Delivery& delivery);
  void MoveOn();
  // Records the position when that is due.
  void Save(bool now);
  bool Wait(absl::Duration wait);  // true: the sink is to stop

  const Rule rule_;
  const Hands& hands_;
  const std::unique_ptr<Courier> courier_;

  // Of the sink's thread.
  std::deque<Due> due_;     // of the entries that were read last
  uint64_t read_ = 0;       // the position up to which the log was read
  uint64_t saved_ = 0;      // the position on disk
  bool delivered_ = false;  // something since it was saved
  bool failed_ = false;     // the position cannot be recorded any more
  absl::Time saved_at_ = absl::InfinitePast();
  absl::Time tried_at_ = absl::InfinitePast();

  std::atomic<bool> idle_{false};  // at the end of the log: to be woken
  mutable ports::Mutex mu_;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  SinkStatus status_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

// How long to wait after `tries` that failed: a second, doubled up to five minutes, or as long as
// the receiver asked for, up to an hour.
absl::Duration RetryDelay(int tries, absl::Duration retry_after);

}  // namespace beamline::notify
