// The tables `tasks`, `task_voters` and `task_handovers`: the inbox, derived from the events that
// are appended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/ports/task_index.h"
#include "daemon/run/event.h"
#include "daemon/store/sqlite.h"

namespace beamline::store {

// What an event changes about a task, shared by the stores so that they cannot differ.
struct TaskChange {
  uint64_t task = 0;
  std::optional<ports::TaskRow> opened;  // run, tenant and flow_name are left for the store
  std::string barred;                    // with `opened`: may not decide, "" = nobody
  std::vector<std::string> voters;       // who may decide from now on, too; with `opened`: who may
  std::string handed_on_by;  // who may not any more: `voters` is one, and has their vote
  std::optional<ports::TaskState> state;
  std::optional<int32_t> approvals;  // with `digest`
  std::string digest;
  std::optional<absl::Time> escalated_until;
};
std::vector<TaskChange> TaskChanges(const run::Event& event);

// For the one connection that writes.
class TaskWriter {
 public:
  static absl::StatusOr<TaskWriter> Prepare(Connection& db);

  absl::Status Write(int64_t run_no, absl::Span<const run::Event> events);
  absl::Status DeleteRun(int64_t run_no);

 private:
  absl::Status Write(int64_t run_no, const TaskChange& change);
  absl::Status Open(int64_t run_no, const TaskChange& change);
  absl::Status AddVoters(const TaskChange& change);
  absl::Status HandOn(const TaskChange& change);

  Statement open_, state_, approvals_, escalate_, add_voter_, drop_voters_;
  Statement hand_on_, take_back_, drop_handovers_, add_holders_;
  Statement drop_voters_of_run_, drop_handovers_of_run_, delete_;
};

absl::StatusOr<std::vector<ports::TaskRow>> ListTasks(Connection& db,
                                                      const ports::TaskQuery& query);
absl::StatusOr<uint64_t> CountTasks(Connection& db, const std::string& tenant);
absl::StatusOr<ports::TaskRow> FindTask(Connection& db, const std::string& tenant, uint64_t task);
absl::StatusOr<uint64_t> LastTask(Connection& db);

// NotFound.
absl::Status TaskNotFound(uint64_t task);

}  // namespace beamline::store
