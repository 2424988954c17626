// The inbox: which tasks wait for people, kept beside the log that they derive from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/run/event.h"
#include "daemon/run/id.h"

namespace beamline::ports {

enum class TaskState : uint8_t { kOpen, kRevising, kApproved, kRejected, kExpired, kCancelled };

// One line of the inbox. Derived from the run's events, in the transaction that appends them.
struct TaskRow {
  uint64_t task = 0;
  run::RunId run;
  std::string tenant, flow_name, path;
  uint64_t seq = 0;  // of the TaskOpened of the round
  TaskState state = TaskState::kOpen;
  std::string title;
  int32_t round = 1, max_rounds = 0;
  int32_t quorum = 1, approvals = 0;
  std::string initiator;
  absl::Time opened_at;
  absl::Time until = absl::InfiniteFuture();
  bool escalated = false;
  std::string digest;  // of what stands to be approved
};

struct TaskQuery {
  std::string tenant = "local";
  // Only tasks that one of these may decide ("user:ada", "group:editors"), and that "*" may; empty:
  // all. What one of them has started is left out, unless it may decide that as well; so is a task
  // whose vote one of them has handed on (and did not get back), in all of its rounds.
  std::vector<std::string> voters;
  uint64_t after = 0;  // tasks of higher number; for paging
  int limit = 50;
};

// Thread-safe. A task is known until its run is deleted.
class TaskIndex {
 public:
  virtual ~TaskIndex() = default;

  // Open tasks by growing number: oldest first.
  virtual absl::StatusOr<std::vector<TaskRow>> ListTasks(const TaskQuery& query) const = 0;
  // How many are open.
  virtual absl::StatusOr<uint64_t> CountTasks(const std::string& tenant) const = 0;
  virtual absl::StatusOr<TaskRow> GetTask(const std::string& tenant,
                                          uint64_t task) const = 0;  // NotFound
  // The highest number that a task ever had, those of deleted runs included; 0: none yet.
  virtual absl::StatusOr<uint64_t> LastTask() const = 0;
};

}  // namespace beamline::ports
