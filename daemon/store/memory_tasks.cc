// The inbox of the store in memory.
#include <algorithm>

#include "daemon/store/memory_store.h"
#include "daemon/store/task_table.h"

namespace beamline::store {

using ports::TaskRow;
using ports::TaskState;

void MemoryStore::ApplyTasks(const ports::RunRow& row, absl::Span<const run::Event> events) {
  for (const run::Event& event : events) {
    for (const TaskChange& change : TaskChanges(event)) {
      StoredTask& task = tasks_[change.task];
      last_task_ = std::max(last_task_, change.task);
      if (change.opened || change.state) task.voters.clear();
      if (change.state && *change.state != TaskState::kRevising) task.away.clear();
      if (change.opened) {
        task.row = *change.opened;
        task.row.run = row.id;
        task.row.tenant = row.tenant;
        task.row.flow_name = row.flow_name;
        task.barred = change.barred;
      }
      if (change.state) task.row.state = *change.state;
      if (change.approvals) {
        task.row.approvals = *change.approvals;
        task.row.digest = change.digest;
      }
      if (change.escalated_until) {
        task.row.escalated = true;
        task.row.until = *change.escalated_until;
      }
      if (!change.handed_on_by.empty()) {
        task.away.erase(change.voters.front());
        task.away[change.handed_on_by] = change.voters.front();
      }
      task.voters.insert(change.voters.begin(), change.voters.end());
      if (!change.opened) continue;
      for (const auto& [voter, to] : task.away) task.voters.insert(to);
    }
  }
}

absl::StatusOr<std::vector<TaskRow>> MemoryStore::ListTasks(const ports::TaskQuery& query) const {
  ports::MutexLock lock(&mu_);
  const auto asked = [&](const StoredTask& task) {
    const auto& voters = query.voters;
    if (voters.empty()) return true;
    const bool barred = std::any_of(voters.begin(), voters.end(), [&](const std::string& voter) {
      return voter == task.barred || task.away.contains(voter);
    });
    if (barred) return false;
    return task.voters.contains("*") ||
           std::any_of(voters.begin(), voters.end(),
                       [&](const std::string& voter) { return task.voters.contains(voter); });
  };
  std::vector<TaskRow> rows;
  for (auto at = tasks_.upper_bound(query.after); at != tasks_.end(); ++at) {
    if (static_cast<int>(rows.size()) >= query.limit) break;
    const StoredTask& task = at->second;
    if (task.row.state == TaskState::kOpen && task.row.tenant == query.tenant && asked(task)) {
      rows.push_back(task.row);
    }
  }
  return rows;
}

absl::StatusOr<uint64_t> MemoryStore::CountTasks(const std::string& tenant) const {
  ports::MutexLock lock(&mu_);
  return static_cast<uint64_t>(std::count_if(tasks_.begin(), tasks_.end(), [&](const auto& task) {
    return task.second.row.state == TaskState::kOpen && task.second.row.tenant == tenant;
  }));
}

absl::StatusOr<TaskRow> MemoryStore::GetTask(const std::string& tenant, uint64_t task) const {
  ports::MutexLock lock(&mu_);
  const auto found = tasks_.find(task);
  if (found == tasks_.end() || found->second.row.tenant != tenant) return TaskNotFound(task);
  return found->second.row;
}

absl::StatusOr<uint64_t> MemoryStore::LastTask() const {
  ports::MutexLock lock(&mu_);
  return last_task_;
}

}  // namespace beamline::store
