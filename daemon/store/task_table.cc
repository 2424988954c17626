// Events become rows; lists are paged by the number of the task.
#include "daemon/store/task_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

using ports::TaskRow;
using ports::TaskState;

constexpr const char* kStates[] = {"open",     "revising", "approved",
                                   "rejected", "expired",  "cancelled"};

constexpr char kColumns[] =
    "task, run_id, tasks.tenant, flow_name, path, seq, state, title, round, max_rounds, quorum, "
    "approvals, initiator, opened_at, until, escalated, digest";

TaskChange Opened(const run::TaskOpened& fact, const run::Event& event) {
  TaskChange change{.task = fact.task};
  change.opened = TaskRow{.task = fact.task,
                          .path = fact.path,
                          .seq = event.seq,
                          .title = fact.title,
                          .round = fact.round,
                          .max_rounds = fact.max_rounds,
                          .quorum = fact.quorum,
                          .initiator = fact.initiator,
                          .opened_at = event.time,
                          .until = fact.until,
                          .digest = fact.digest};
  if (!fact.self_approval) change.barred = absl::StrCat("user:", fact.initiator);
  change.voters = fact.approvers;
  if (change.voters.empty()) change.voters.emplace_back("*");
  return change;
}

TaskState StateOf(run::TaskOutcome outcome) {
  switch (outcome) {
    case run::TaskOutcome::kApproved:
      return TaskState::kApproved;
    case run::TaskOutcome::kRejected:
      return TaskState::kRejected;
    case run::TaskOutcome::kExpired:
      return TaskState::kExpired;
    case run::TaskOutcome::kCancelled:
      break;
  }
  return TaskState::kCancelled;
}

absl::StatusOr<TaskRow> ReadRow(const Statement& s) {
  TaskRow row;
  row.task = static_cast<uint64_t>(s.Int(0));
  const std::string_view id = s.Blob(1);
  if (id.size() != row.run.bytes.size()) return absl::DataLossError("a task without a run");
  std::copy(id.begin(), id.end(), row.run.bytes.begin());
  row.tenant = s.Text(2);
  row.flow_name = s.Text(3);
  row.path = s.Text(4);
  row.seq = static_cast<uint64_t>(s.Int(5));
  const auto* state = std::find(std::begin(kStates), std::end(kStates), s.Text(6));
  if (state == std::end(kStates)) {
    return absl::DataLossError(
        absl::StrCat("task ", row.task, " has a state that is unknown to this release"));
  }
  row.state = static_cast<TaskState>(state - std::begin(kStates));
  row.title = s.Text(7);
  row.round = static_cast<int32_t>(s.Int(8));
  row.max_rounds = static_cast<int32_t>(s.Int(9));
  row.quorum = static_cast<int32_t>(s.Int(10));
  row.approvals = static_cast<int32_t>(s.Int(11));
  row.initiator = s.Text(12);
  row.opened_at = absl::FromUnixNanos(s.Int(13));
  if (!s.IsNull(14)) row.until = absl::FromUnixNanos(s.Int(14));
  row.escalated = s.Int(15) != 0;
  row.digest = s.Text(16);
  return row;
}

absl::StatusOr<std::vector<TaskRow>> ReadRows(Statement& s) {
  std::vector<TaskRow> rows;
  while (true) {
    absl::StatusOr<bool> more = s.Step();
    if (!more.ok()) return more.status();
    if (!*more) return rows;
    absl::StatusOr<TaskRow> row = ReadRow(s);
    if (!row.ok()) return row.status();
    rows.push_back(*std::move(row));
  }
}

void BindTime(Statement& s, int parameter, absl::Time time) {
  if (time == absl::InfiniteFuture()) {
    s.BindNull(parameter);
  } else {
    s.BindInt(parameter, absl::ToUnixNanos(time));
  }
}

// The numbers of the first open tasks that ask `voter`: a walk along the primary key.
absl::Status AddTasksOf(Connection& db, const ports::TaskQuery& query, const std::string& voter,
                        std::vector<uint64_t>* tasks) {
  std::string own;
  for (size_t i = 0; i < query.voters.size(); ++i) {
    absl::StrAppend(&own, i > 0 ? ", ?" : "?", 5 + i);
  }
  auto list =
      db.Prepare(absl::StrCat("SELECT task FROM task_voters AS asked "
                              "WHERE tenant = ?1 AND voter = ?2 AND task > ?3 AND barred NOT IN (",
                              own,
                              ") AND NOT EXISTS (SELECT 1 FROM task_handovers AS away "
                              "WHERE away.task = asked.task AND away.voter IN (",
                              own, ")) ORDER BY task LIMIT ?4"));
  if (!list.ok()) return list.status();
  list->BindText(1, query.tenant);
  list->BindText(2, voter);
  list->BindInt(3, static_cast<int64_t>(query.after));
  list->BindInt(4, std::max(query.limit, 0));
  for (size_t i = 0; i < query.voters.size(); ++i) {
    list->BindText(static_cast<int>(5 + i), query.voters[i]);
  }
  while (true) {
    absl::StatusOr<bool> row = list->Step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    tasks->push_back(static_cast<uint64_t>(list->Int(0)));
  }
}

absl::StatusOr<std::vector<TaskRow>> ListMine(Connection& db, const ports::TaskQuery& query) {
  std::vector<uint64_t> tasks;
  std::vector<std::string> voters = query.voters;
  voters.emplace_back("*");
  for (const std::string& voter : voters) {
    if (absl::Status s = AddTasksOf(db, query, voter, &tasks); !s.ok()) return s;
  }
  std::sort(tasks.begin(), tasks.end());
  tasks.erase(std::unique(tasks.begin(), tasks.end()), tasks.end());
  if (tasks.size() > static_cast<size_t>(std::max(query.limit, 0))) {
    tasks.resize(static_cast<size_t>(std::max(query.limit, 0)));
  }
  std::vector<TaskRow> rows;
  for (const uint64_t task : tasks) {
    absl::StatusOr<TaskRow> row = FindTask(db, query.tenant, task);
    if (!row.ok()) return row.status();
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace

std::vector<TaskChange> TaskChanges(const run::Event& event) {
  if (const auto* opened = std::get_if<run::TaskOpened>(&event.fact)) {
    return {Opened(*opened, event)};
  }
  if (const auto* decided = std::get_if<run::TaskDecided>(&event.fact)) {
    return {{.task = decided->task, .approvals = decided->approvals, .digest = decided->digest}};
  }
  if (const auto* delegated = std::get_if<run::TaskDelegated>(&event.fact)) {
    return {{.task = delegated->task,
             .voters = {delegated->to},
             .handed_on_by = absl::StrCat("user:", delegated->voter)}};
  }
  if (const auto* escalated = std::get_if<run::TaskEscalated>(&event.fact)) {
    return {
        {.task = escalated->task, .voters = escalated->to, .escalated_until = escalated->until}};
  }
  if (const auto* closed = std::get_if<run::TaskClosed>(&event.fact)) {
    return {{.task = closed->task, .state = StateOf(closed->outcome)}};
  }
  std::vector<TaskChange> changes;
  if (const auto* rewound = std::get_if<run::StepsRewound>(&event.fact)) {
    for (const uint64_t task : rewound->tasks) {
      changes.push_back({.task = task, .state = TaskState::kRevising});
    }
  }
  return changes;
}

absl::StatusOr<TaskWriter> TaskWriter::Prepare(Connection& db) {
  TaskWriter writer;
  const std::pair<Statement TaskWriter::*, const char*> statements[] = {
      {&TaskWriter::open_,
       "INSERT INTO tasks (task, tenant, run_no, seq, path, state, title, round, "
       "max_rounds, quorum, approvals, initiator, barred, opened_at, until, escalated, digest) "
       "SELECT ?1, tenant, ?2, ?3, ?4, 'open', ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, 0, ?13 "
       "FROM runs WHERE run_no = ?2 "
       "ON CONFLICT (task) DO UPDATE SET seq = excluded.seq, state = excluded.state, "
       "title = excluded.title, round = excluded.round, max_rounds = excluded.max_rounds, "
       "quorum = excluded.quorum, approvals = 0, opened_at = excluded.opened_at, "
       "until = excluded.until, escalated = 0, digest = excluded.digest"},
      {&TaskWriter::state_, "UPDATE tasks SET state = ?2 WHERE task = ?1"},
      {&TaskWriter::approvals_, "UPDATE tasks SET approvals = ?2, digest = ?3 WHERE task = ?1"},
      {&TaskWriter::escalate_, "UPDATE tasks SET escalated = 1, until = ?2 WHERE task = ?1"},
      {&TaskWriter::add_voter_,
       "INSERT OR IGNORE INTO task_voters (tenant, voter, task, barred) "
       "SELECT tenant, ?2, ?1, barred FROM tasks WHERE task = ?1"},
      {&TaskWriter::drop_voters_, "DELETE FROM task_voters WHERE task = ?1"},
      {&TaskWriter::drop_handovers_, "DELETE FROM task_handovers WHERE task = ?1"},
      {&TaskWriter::add_holders_,
       "INSERT OR IGNORE INTO task_voters (tenant, voter, task, barred) "
       "SELECT tenant, holder, task, barred FROM task_handovers JOIN tasks USING (task) "
       "WHERE task = ?1"},
      {&TaskWriter::hand_on_, "INSERT OR REPLACE INTO task_handovers VALUES (?1, ?2, ?3)"},
      {&TaskWriter::take_back_, "DELETE FROM task_handovers WHERE task = ?1 AND voter = ?2"},
      {&TaskWriter::drop_handovers_of_run_,
       "DELETE FROM task_handovers WHERE task IN (SELECT task FROM tasks WHERE run_no = ?1)"},
      {&TaskWriter::drop_voters_of_run_,
       "DELETE FROM task_voters WHERE task IN (SELECT task FROM tasks WHERE run_no = ?1)"},
      {&TaskWriter::delete_, "DELETE FROM tasks WHERE run_no = ?1"},
  };
  for (const auto& [member, sql] : statements) {
    absl::StatusOr<Statement> statement = db.Prepare(sql);
    if (!statement.ok()) return statement.status();
    writer.*member = *std::move(statement);
  }
  return writer;
}

absl::Status TaskWriter::Write(int64_t run_no, absl::Span<const run::Event> events) {
  for (const run::Event& event : events) {
    for (const TaskChange& change : TaskChanges(event)) {
      if (absl::Status s = Write(run_no, change); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

absl::Status TaskWriter::Write(int64_t run_no, const TaskChange& change) {
  const auto task = static_cast<int64_t>(change.task);
  if (change.opened || change.state) {
    drop_voters_.BindInt(1, task);
    if (absl::Status s = drop_voters_.Run(); !s.ok()) return s;
  }
  if (change.state && *change.state != TaskState::kRevising) {
    drop_handovers_.BindInt(1, task);
    if (absl::Status s = drop_handovers_.Run(); !s.ok()) return s;
  }
  if (change.opened) {
    if (absl::Status s = Open(run_no, change); !s.ok()) return s;
  }
  if (change.state) {
    state_.BindInt(1, task);
    state_.BindText(2, kStates[static_cast<size_t>(*change.state)]);
    if (absl::Status s = state_.Run(); !s.ok()) return s;
  }
  if (change.approvals) {
    approvals_.BindInt(1, task);
    approvals_.BindInt(2, *change.approvals);
    approvals_.BindText(3, change.digest);
    if (absl::Status s = approvals_.Run(); !s.ok()) return s;
  }
  if (change.escalated_until) {
    escalate_.BindInt(1, task);
    BindTime(escalate_, 2, *change.escalated_until);
    if (absl::Status s = escalate_.Run(); !s.ok()) return s;
  }
  if (!change.handed_on_by.empty()) {
    if (absl::Status s = HandOn(change); !s.ok()) return s;
  }
  return AddVoters(change);
}

absl::Status TaskWriter::HandOn(const TaskChange& change) {
  const auto task = static_cast<int64_t>(change.task);
  const std::string& to = change.voters.front();
  take_back_.BindInt(1, task);
  take_back_.BindText(2, to);
  if (absl::Status s = take_back_.Run(); !s.ok()) return s;
  hand_on_.BindInt(1, task);
  hand_on_.BindText(2, change.handed_on_by);
  hand_on_.BindText(3, to);
  return hand_on_.Run();
}

absl::Status TaskWriter::Open(int64_t run_no, const TaskChange& change) {
  const TaskRow& row = *change.opened;
  open_.BindInt(1, static_cast<int64_t>(row.task));
  open_.BindInt(2, run_no);
  open_.BindInt(3, static_cast<int64_t>(row.seq));
  open_.BindText(4, row.path);
  open_.BindText(5, row.title);
  open_.BindInt(6, row.round);
  open_.BindInt(7, row.max_rounds);
  open_.BindInt(8, row.quorum);
  open_.BindText(9, row.initiator);
  open_.BindText(10, change.barred);
  open_.BindInt(11, absl::ToUnixNanos(row.opened_at));
  BindTime(open_, 12, row.until);
  open_.BindText(13, row.digest);
  return open_.Run();
}

absl::Status TaskWriter::AddVoters(const TaskChange& change) {
  for (const std::string& voter : change.voters) {
    add_voter_.BindInt(1, static_cast<int64_t>(change.task));
    add_voter_.BindText(2, voter);
    if (absl::Status s = add_voter_.Run(); !s.ok()) return s;
  }
  if (!change.opened) return absl::OkStatus();
  add_holders_.BindInt(1, static_cast<int64_t>(change.task));
  return add_holders_.Run();
}

absl::Status TaskWriter::DeleteRun(int64_t run_no) {
  for (Statement* statement : {&drop_voters_of_run_, &drop_handovers_of_run_, &delete_}) {
    statement->BindInt(1, run_no);
    if (absl::Status s = statement->Run(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TaskRow>> ListTasks(Connection& db, const ports::TaskQuery& query) {
  if (!query.voters.empty()) return ListMine(db, query);
  auto list = db.Prepare(absl::StrCat("SELECT ", kColumns,
                                      " FROM tasks JOIN runs USING (run_no) "
                                      "WHERE tasks.tenant = ?1 AND state = 'open' AND task > ?2 "
                                      "ORDER BY task LIMIT ?3"));
  if (!list.ok()) return list.status();
  list->BindText(1, query.tenant);
  list->BindInt(2, static_cast<int64_t>(query.after));
  list->BindInt(3, std::max(query.limit, 0));
  return ReadRows(*list);
}

absl::StatusOr<uint64_t> CountTasks(Connection& db, const std::string& tenant) {
  auto count = db.Prepare("SELECT open FROM task_counts WHERE tenant = ?1", {Param::Text(tenant)});
  if (!count.ok()) return count.status();
  absl::StatusOr<bool> row = count->Step();
  if (!row.ok()) return row.status();
  return *row ? static_cast<uint64_t>(count->Int(0)) : 0;
}

absl::StatusOr<TaskRow> FindTask(Connection& db, const std::string& tenant, uint64_t task) {
  auto find = db.Prepare(absl::StrCat("SELECT ", kColumns,
                                      " FROM tasks JOIN runs USING (run_no) "
                                      "WHERE task = ?1 AND tasks.tenant = ?2"),
                         {Param::Int(static_cast<int64_t>(task)), Param::Text(tenant)});
  if (!find.ok()) return find.status();
  absl::StatusOr<std::vector<TaskRow>> rows = ReadRows(*find);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return TaskNotFound(task);
  return std::move((*rows)[0]);
}

absl::StatusOr<uint64_t> LastTask(Connection& db) {
  absl::StatusOr<int64_t> last =
      db.QueryInt("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'tasks'), 0)");
  if (!last.ok()) return last.status();
  return static_cast<uint64_t>(*last);
}

absl::Status TaskNotFound(uint64_t task) {
  return absl::NotFoundError(absl::StrCat("there is no task t", task));
}

}  // namespace beamline::store
