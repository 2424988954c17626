// What a run sends while it is followed: its events and what its steps print, in one queue that a
// loop can poll. What an attempt prints comes between the events that begin and end the attempt.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "cli/client.h"
#include "flowspec/mutex.h"

namespace beamline::cli {

// Two threads read the two streams. The one for output brings lines as they are printed, but a
// little late; before the end of an attempt the other one reads what is missing. A stream that
// breaks because the daemon went away is taken up again where it broke, for up to 15 s in a row
// without an answer.
class Feed {
 public:
  using Entry = std::variant<v1::ExecutionEvent, v1::TailOutputResponse>;

  // `client` is borrowed. Output is only read if it is wanted. `revive` is called before a broken
  // stream is taken up again, from either thread; it may start the daemon.
  Feed(Client& client, std::string run_id, bool with_output, std::function<void()> revive);
  // Ends both streams.
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // To be polled for reading: something can be taken.
  int fd() const { return wake_fd_; }
  std::vector<Entry> Take() ABSL_LOCKS_EXCLUDED(mu_);

  // No more events come, and all of them were taken.
  bool events_ended() const ABSL_LOCKS_EXCLUDED(mu_);
  // Why the events ended early.
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void ReadEvents();
  void ReadOutput();
  // Calls `stream` until it ends well or for good; it updates `progressed` when it gets something.
  absl::Status Persist(const std::function<absl::Status(bool* progressed)>& stream);
  using Chunks = std::deque<v1::TailOutputResponse>;
  void PushEvents(const EventBatch& events);
  // Adds all output that there is now and was not pushed yet, as far as there is room for it.
  void CatchUp(Chunks* chunks);
  // How many of the first chunks belong before `event`: those of attempts that have begun, and all
  // up to the last one of the attempt that it ends.
  size_t CountDue(const Chunks& chunks, const v1::ExecutionEvent& event) const
      ABSL_LOCKS_EXCLUDED(mu_);
  void NoteAttempt(const v1::ExecutionEvent& event) ABSL_LOCKS_EXCLUDED(mu_);
  bool HasBegun(const v1::TailOutputResponse& chunk) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Waits until the event that begins the chunk's attempt was pushed.
  void LetEventsPass(const v1::TailOutputResponse& chunk) ABSL_LOCKS_EXCLUDED(mu_, output_mu_);
  void Push(Entry entry) ABSL_LOCKS_EXCLUDED(mu_);
  // Both threads push output; what the other one has pushed before is left out.
  void PushOutput(const v1::TailOutputResponse& chunk) ABSL_LOCKS_EXCLUDED(mu_, output_mu_);
  uint64_t output_offset() const ABSL_LOCKS_EXCLUDED(output_mu_);
  void Wake();

  Client& client_;
  const std::string run_id_;
  const bool with_output_;
  const std::function<void()> revive_;
  int wake_fd_ = -1;
  CallStopper events_stopper_, output_stopper_, catch_up_stopper_;
  std::atomic<bool> stopping_ = false;

  // Held while a chunk is pushed, so that chunks keep their order. Taken before mu_.
  mutable flowspec::Mutex output_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  uint64_t output_offset_ ABSL_GUARDED_BY(output_mu_) = 0;  // after the last chunk that was pushed

  mutable flowspec::Mutex mu_;
  std::vector<Entry> queue_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int32_t> begun_ ABSL_GUARDED_BY(mu_);  // last attempts, by path
  bool events_ended_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);

  std::thread events_thread_, output_thread_;
};

}  // namespace beamline::cli
