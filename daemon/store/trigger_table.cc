// The SQL of triggers.
#include "daemon/store/trigger_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

using ports::TriggerChange;
using ports::TriggerRow;
using ports::TriggerSpec;

std::string_view Bytes(const run::RunId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::optional<run::RunId> ToId(const Statement& row, int column) {
  run::RunId id;
  const std::string_view bytes = row.Blob(column);
  if (row.IsNull(column) || bytes.size() != id.bytes.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

Param TimeParam(absl::Time time) { return Param::Int(absl::ToUnixNanos(time)); }

absl::Time ToTime(const Statement& row, int column) {
  return row.IsNull(column) ? absl::InfinitePast() : absl::FromUnixNanos(row.Int(column));
}

absl::Status Forget(Connection& db, int64_t trigger) {
  absl::Status status =
      db.Run("DELETE FROM due_starts WHERE trigger_no = ?1", {Param::Int(trigger)});
  if (!status.ok()) return status;
  return db.Run("DELETE FROM triggers WHERE trigger_no = ?1", {Param::Int(trigger)});
}

// The triggers that the flow has now, by key.
absl::StatusOr<std::vector<std::pair<std::string, int64_t>>> Keys(Connection& db,
                                                                  const std::string& tenant,
                                                                  const std::string& flow) {
  auto select = db.Prepare("SELECT key, trigger_no FROM triggers WHERE tenant = ?1 AND flow = ?2",
                           {Param::Text(tenant), Param::Text(flow)});
  if (!select.ok()) return select.status();
  std::vector<std::pair<std::string, int64_t>> keys;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return keys;
    keys.emplace_back(select->Text(0), select->Int(1));
  }
}

}  // namespace

absl::Status ReplaceTriggers(Connection& db, const std::string& tenant, const std::string& flow,
                             const std::vector<TriggerSpec>& specs, absl::Time at) {
  auto before = Keys(db, tenant, flow);
  if (!before.ok()) return before.status();
  for (const auto& [key, number] : *before) {
    const bool stays =
        std::any_of(specs.begin(), specs.end(),
                    [&key = key](const TriggerSpec& spec) { return spec.key == key; });
    if (stays) continue;
    if (absl::Status status = Forget(db, number); !status.ok()) return status;
  }
  for (const TriggerSpec& spec : specs) {
    absl::Status status = db.Run(
        "INSERT INTO triggers (tenant, flow, key, place, kind, what, tz, overlap, catchup, "
        "run_when, cursor) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
        "ON CONFLICT (tenant, flow, key) DO UPDATE SET place = ?4, overlap = ?8, catchup = ?9",
        {Param::Text(tenant), Param::Text(flow), Param::Text(spec.key), Param::Int(spec.index),
         Param::Text(spec.kind), Param::Text(spec.what), Param::Text(spec.tz),
         Param::Text(spec.overlap), Param::Text(spec.catchup), Param::Text(spec.run_when),
         TimeParam(at)});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ApplyChange(Connection& db, const TriggerChange& change) {
  const Param number = Param::Int(static_cast<int64_t>(change.trigger));
  auto known = db.Prepare("SELECT 1 FROM triggers WHERE trigger_no = ?1", {number});
  if (!known.ok()) return known.status();
  const absl::StatusOr<bool> there = known->Step();
  if (!there.ok()) return there.status();
  known->Reset();
  if (!*there) return absl::OkStatus();
  absl::Status status;
  if (change.cursor) {
    status = db.Run("UPDATE triggers SET cursor = ?2 WHERE trigger_no = ?1",
                    {number, TimeParam(*change.cursor)});
  }
  if (status.ok() && change.last) {
    status = db.Run(
        "UPDATE triggers SET last_for = ?2, last_at = ?3, decision = ?4, reason = ?5 "
        "WHERE trigger_no = ?1",
        {number, TimeParam(change.last->scheduled_at), TimeParam(change.last->decided_at),
         Param::Text(change.last->decision), Param::Text(change.last->reason)});
  }
  if (status.ok() && change.run) {
    status = db.Run("UPDATE triggers SET run_id = ?2 WHERE trigger_no = ?1",
                    {number, Param::Blob(Bytes(*change.run))});
  }
  for (size_t i = 0; status.ok() && i < change.owe.size(); ++i) {
    status = db.Run("INSERT INTO due_starts (trigger_no, scheduled_at) VALUES (?1, ?2)",
                    {number, TimeParam(change.owe[i])});
  }
  for (size_t i = 0; status.ok() && i < change.settle.size(); ++i) {
    status = db.Run("DELETE FROM due_starts WHERE due_no = ?1",
                    {Param::Int(static_cast<int64_t>(change.settle[i]))});
  }
  return status;
}

absl::StatusOr<int> OweByRun(Connection& db, const ports::RunRow& row) {
  auto waiting = db.Prepare(
      "SELECT trigger_no, run_when FROM triggers "
      "WHERE kind = 'flow' AND tenant = ?1 AND what = ?2 ORDER BY trigger_no",
      {Param::Text(row.tenant), Param::Text(row.flow_name)});
  if (!waiting.ok()) return waiting.status();
  int owed = 0;
  while (true) {
    absl::StatusOr<bool> more = waiting->Step();
    if (!more.ok()) return more.status();
    if (!*more) return owed;
    if (!ports::Wanted(std::string(waiting->Text(1)), row.status)) continue;
    absl::Status status = db.Run(
        "INSERT INTO due_starts (trigger_no, scheduled_at, cause) VALUES (?1, ?2, ?3)",
        {Param::Int(waiting->Int(0)), TimeParam(row.finished_at), Param::Blob(Bytes(row.id))});
    if (!status.ok()) return status;
    ++owed;
  }
}

absl::StatusOr<std::vector<std::string>> AwaitedFlows(Connection& db) {
  auto select = db.Prepare("SELECT DISTINCT tenant, what FROM triggers WHERE kind = 'flow'");
  if (!select.ok()) return select.status();
  std::vector<std::string> flows;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return flows;
    flows.push_back(absl::StrCat(std::string(select->Text(0)), "/", std::string(select->Text(1))));
  }
}

absl::StatusOr<std::vector<TriggerRow>> SelectTriggers(Connection& db, const std::string& tenant,
                                                       const std::string& name) {
  const std::string columns =
      "SELECT t.trigger_no, t.tenant, t.flow, v.digest, v.workspace, t.key, t.place, t.kind, "
      "t.what, t.tz, t.overlap, t.catchup, t.run_when, t.cursor, t.last_for, t.last_at, "
      "t.decision, t.reason, t.run_id FROM triggers t "
      "JOIN registered_flows r ON r.tenant = t.tenant AND r.name = t.flow "
      "JOIN flow_versions v ON v.tenant = r.tenant AND v.name = r.name AND v.version = r.version";
  auto select =
      name.empty()
          ? db.Prepare(absl::StrCat(columns, " ORDER BY t.trigger_no"))
          : db.Prepare(
                absl::StrCat(columns, " WHERE t.tenant = ?1 AND t.flow = ?2 ORDER BY t.place"),
                {Param::Text(tenant), Param::Text(name)});
  if (!select.ok()) return select.status();
  std::vector<TriggerRow> rows;
  while (true) {
    absl::StatusOr<bool> more = select->Step();
    if (!more.ok()) return more.status();
    if (!*more) return rows;
    TriggerRow& row = rows.emplace_back();
    row.no = static_cast<uint64_t>(select->Int(0));
    int column = 1;
    for (std::string* text : {&row.tenant, &row.flow, &row.digest, &row.workspace, &row.spec.key}) {
      *text = select->Text(column++);
    }
    row.spec.index = static_cast<int32_t>(select->Int(column++));
    for (std::string* text : {&row.spec.kind, &row.spec.what, &row.spec.tz, &row.spec.overlap,
                              &row.spec.catchup, &row.spec.run_when}) {
      *text = select->Text(column++);
    }
    row.cursor = ToTime(*select, 13);
    row.last.scheduled_at = ToTime(*select, 14);
    row.last.decided_at = ToTime(*select, 15);
    row.last.decision = select->Text(16);
    row.last.reason = select->Text(17);
    row.run = ToId(*select, 18);
  }
}

absl::StatusOr<std::vector<ports::DueStart>> SelectDue(Connection& db) {
  auto select =
      db.Prepare("SELECT due_no, trigger_no, scheduled_at, cause FROM due_starts ORDER BY due_no");
  if (!select.ok()) return select.status();
  std::vector<ports::DueStart> due;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return due;
    due.push_back({static_cast<uint64_t>(select->Int(0)), static_cast<uint64_t>(select->Int(1)),
                   ToTime(*select, 2), ToId(*select, 3)});
  }
}

}  // namespace beamline::store
