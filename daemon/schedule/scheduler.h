// Starts runs of registered flows when their triggers say so: by the clock, or when another flow's
// run has ended.
//
// A start is recorded as owed, together with the trigger's cursor, before it is made; the request
// that makes it has an id that follows from what is owed, and only when the run is on disk the
// start is settled. Whatever is cut off between two of these steps is done again to the same end.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/engine/engine.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/ports/mutex.h"
#include "daemon/schedule/occasion.h"
#include "flowspec/cron.h"

namespace beamline::schedule {

// What the scheduler acts through. All of it outlives the scheduler.
struct Hands {
  ports::FlowRegistry& registry;
  Sources sources;
  // Does some work on the thread that writes (Engine::Write).
  std::function<void(std::function<void()>)> write;
  // Engine::StartRun.
  std::function<void(engine::StartRequest, std::function<void(absl::StatusOr<engine::Started>)>)>
      start;
  // Told of every decision, on the scheduler's thread.
  std::function<void(const ports::TriggerRow&, const ports::TriggerDecision&)> decided;
  // Nothing can be recorded any more: the process is to end and to recover from disk.
  std::function<void(const absl::Status&)> fatal;
};

class Scheduler {
 public:
  explicit Scheduler(Hands hands) : hands_(std::move(hands)) {}
  ~Scheduler() { Stop(); }
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Reads the triggers and what they owe. Before Start.
  absl::Status Load();
  void Start();
  // Ends the thread after what it is about. REQUIRES: the engine still runs.
  void Stop();

  // Thread-safe. A flow of this name was registered or taken away.
  void FlowChanged(const std::string& tenant, const std::string& flow);
  // Thread-safe. The run is over and on disk.
  void RunEnded(const run::RunId& run);
  // Timetables, and starts that are owed: what a daemon must stay for.
  size_t pending() const { return pending_; }

  // One turn, waiting at most `wait` for something to do. For tests; Start() does it on a thread.
  void Step(absl::Duration wait);

 private:
  struct Entry {
    ports::TriggerRow row;
    std::optional<flowspec::Cron> cron;
    absl::TimeZone zone;
    absl::Time next = absl::InfiniteFuture();  // its place in agenda_
    std::deque<ports::DueStart> due;
    int tries = 0;  // in a row that failed for what a busy machine explains
  };
  struct Attempt {  // to make one start
    uint64_t trigger = 0;
    ports::DueStart due;
    absl::StatusOr<engine::Started> result = absl::UnknownError("");
  };
  using Changes = std::vector<ports::TriggerChange>;

  absl::Duration UntilNext(absl::Duration wait);
  void Add(const ports::TriggerRow& row);
  void Reload(const std::string& tenant, const std::string& flow);
  void Plan(Entry& entry);  // puts it into agenda_ by its cursor
  absl::Status ReadDue();

  void Rewind(absl::Time now);
  void FireTimetables(absl::Time now);
  void Fire(Entry& entry, absl::Time now, Changes* changes);
  void Serve(absl::Time now);
  // The starts of `entry` that can be made now; decides about those that cannot.
  void Choose(Entry& entry, absl::Time now, std::vector<Attempt>* attempts, Changes* changes);
  void Make(std::vector<Attempt>& attempts);
  void Conclude(const Attempt& attempt, absl::Time now, Changes* changes);
  // Whether the last run that the trigger started goes on; the scheduler is then woken by its end.
  bool GoesOn(const Entry& entry);
  void Note(Entry& entry, ports::TriggerChange* change, absl::Time scheduled_at, absl::Time now,
            std::string decision, std::string reason);
  // On disk before return; false: nothing may be done any more.
  bool Record(const Changes& changes);
  void Count();

  const Hands hands_;

  // Of the scheduler's thread.
  absl::flat_hash_map<uint64_t, Entry> entries_;
  absl::btree_set<std::pair<absl::Time, uint64_t>> agenda_;  // one entry per timetable
  absl::btree_set<uint64_t> ready_;                          // triggers to look at in Serve
  uint64_t last_due_ = 0;                                    // the newest start that was read
  absl::Time last_look_ = absl::InfinitePast();
  bool first_look_ = true;
  bool try_again_ = false;  // a start could not be made for now
  bool failed_ = false;

  std::atomic<size_t> pending_{0};
  std::atomic<uint64_t> due_seen_{0};  // FlowRegistry::due_by_runs when due starts were read last
  std::atomic<size_t> watched_count_{0};
  ports::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::pair<std::string, std::string>> changed_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<run::RunId, uint64_t> watched_ ABSL_GUARDED_BY(mu_);  // run → its trigger
  std::vector<uint64_t> unblocked_ ABSL_GUARDED_BY(mu_);  // triggers whose run has ended
  std::thread thread_;
};

}  // namespace beamline::schedule
