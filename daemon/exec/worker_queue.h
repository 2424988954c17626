// Who does what next: attempts in line, workers with credit, and the leases between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "daemon/run/id.h"

namespace beamline::exec {

// Not thread-safe; pure: time is an argument, of any clock that does not step.
//
// Jobs stand in lines, one for each (tenant, queue, task). Within a line runs take turns, so that a
// run of 100,000 items does not hold up one of three; within a run the order is that of Add. Lines
// that have both a job and a worker take turns, too, and so do the workers of a line. Every
// operation takes constant time, but for the lines of one worker (Attach, a job's end) and the
// workers as a whole (Expire, NextLook).
//
// Invariant: a worker holds at most as many jobs as its credit was when it got the last of them. A
// lease that is given up still counts, until the worker answers: it may be busy with it.
class WorkerQueue {
 public:
  using JobId = uint64_t;     // of the caller, never used again
  using WorkerNo = uint64_t;  // likewise

  // A worker that is not heard for so long is given nothing until it is.
  explicit WorkerQueue(absl::Duration silence_max) : silence_max_(silence_max) {}

  struct LineName {
    std::string tenant, queue, task;
    friend auto operator<=>(const LineName&, const LineName&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const LineName& name) {
      return H::combine(std::move(h), name.tenant, name.queue, name.task);
    }
  };

  // `epoch_base`: what the job's lease epochs begin above. `heartbeat`: how long a worker that has
  // it may be silent.
  void Add(JobId job, const LineName& line, const run::RunId& run, uint64_t epoch_base,
           absl::Duration heartbeat);
  // Forgets a job that waits; false if it does not.
  bool Withdraw(JobId job);

  void Attach(WorkerNo worker, const std::string& tenant,
              const std::vector<std::pair<std::string, std::string>>& serves, int32_t credit,
              absl::Time now);
  // Forgets the worker and the jobs that it had, which are returned in the order of Add.
  struct Ended {
    JobId job = 0;
    bool given_up = false;  // its lease was over before
  };
  std::vector<Ended> Detach(WorkerNo worker);
  void Hear(WorkerNo worker, absl::Time now);
  void SetCredit(WorkerNo worker, int32_t credit);
  void Drain(WorkerNo worker);  // nothing more for it

  struct Grant {
    JobId job = 0;
    WorkerNo worker = 0;
    uint64_t epoch = 0;
  };
  // The next job that a worker has room for, leased to it.
  std::optional<Grant> Next(absl::Time now);

  // The epoch of the lease that `worker` has on the job; 0: none.
  uint64_t LeaseOf(WorkerNo worker, JobId job) const;
  // The worker has answered: the job is forgotten. REQUIRES: it has the lease, given up or not.
  void Finish(JobId job);
  // The job waits again, first in its run's turn; the worker is left alone for `rest`. REQUIRES: it
  // has the lease, not given up.
  void Return(JobId job, absl::Time now, absl::Duration rest);
  // The lease is over, but the worker may still be busy. REQUIRES: it is leased.
  void GiveUp(JobId job);
  // Replaces the job's alarm. REQUIRES: it is leased.
  void SetAlarm(JobId job, absl::Time at);

  struct Expired {
    std::vector<JobId> silent;  // leases given up, since the worker was silent for too long
    std::vector<JobId> alarms;  // that are due, each once
  };
  Expired Expire(absl::Time now);
  // When Expire, or Next, has something new to see; InfiniteFuture: not before something is called.
  absl::Time NextLook() const;
  // Takes every worker as heard just now: it was us who did not listen.
  void Forgive(absl::Time now);

  struct LineStatus {
    LineName name;
    size_t waiting = 0;
    int32_t workers = 0;
    std::optional<JobId> first;  // of those that wait
  };
  std::vector<LineStatus> Lines() const;  // by name
  size_t waiting() const { return waiting_; }
  struct WorkerState {
    int32_t credit = 0;
    absl::Time heard_at;
    bool draining = false, silent = false;
    std::vector<JobId> jobs;  // by id
  };
  WorkerState Describe(WorkerNo worker) const;  // REQUIRES: attached
  bool IsGivenUp(JobId job) const;

 private:
  using LineNo = uint64_t;
  struct Lane {  // of one run in one line; stands in Line::turn until it was found empty
    JobId first = 0, last = 0;
  };
  struct Line {
    LineName name;
    size_t waiting = 0;
    int32_t workers = 0;
    absl::flat_hash_map<run::RunId, Lane> lanes;
    std::deque<run::RunId> turn;
    std::deque<WorkerNo> ready;  // those that had room when they were put here, each once
    bool runnable = false;       // stands in runnable_
  };
  struct Job {
    LineNo line = 0;
    run::RunId run;
    JobId before = 0, behind = 0;  // in its lane, while it waits
    uint64_t epoch = 0;            // of the last lease
    absl::Duration heartbeat;
    WorkerNo worker = 0;  // 0: it waits
    bool given_up = false;
    absl::Time alarm = absl::InfiniteFuture();
  };
  struct Serve {
    LineNo line = 0;
    bool listed = false;  // stands in Line::ready
  };
  struct Worker {
    std::vector<Serve> serves;
    int32_t credit = 0;
    absl::btree_set<JobId> jobs;                      // given up or not
    absl::btree_map<absl::Duration, int> heartbeats;  // of the leases that are not given up
    absl::Time heard_at, rests_until = absl::InfinitePast();
    bool draining = false, silent = false;
  };

  LineNo LineFor(const LineName& name);
  void DropIfUnused(LineNo line);
  void Enqueue(JobId job, bool first);
  void Unlink(JobId job);
  std::optional<JobId> TakeFirst(Line& line);
  bool HasRoom(const Worker& worker, absl::Time now) const;
  std::optional<WorkerNo> TakeWorker(Line& line, LineNo number, absl::Time now);
  void Offer(WorkerNo number, Worker& worker);
  void MarkRunnable(LineNo number, Line& line);
  void EndHeartbeat(Worker& worker, const Job& job);
  void ClearAlarm(JobId id, Job& job);

  const absl::Duration silence_max_;
  absl::flat_hash_map<JobId, Job> jobs_;
  absl::btree_map<WorkerNo, Worker> workers_;
  absl::flat_hash_map<LineName, LineNo> line_numbers_;
  absl::flat_hash_map<LineNo, std::unique_ptr<Line>> lines_;
  std::deque<LineNo> runnable_;  // lines that may have both a job and a worker
  absl::btree_set<std::pair<absl::Time, JobId>> alarms_;
  LineNo last_line_ = 0;
  size_t waiting_ = 0;
};

}  // namespace beamline::exec
