// The SQL of runs and flows.
#include "daemon/store/run_table.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/store/labels.h"

namespace beamline::store {
namespace {

using ports::RunRow;
using ports::RunStatus;

constexpr std::pair<RunStatus, const char*> kStatuses[] = {
    {RunStatus::kPending, "pending"},     {RunStatus::kRunning, "running"},
    {RunStatus::kWaiting, "waiting"},     {RunStatus::kPaused, "paused"},
    {RunStatus::kSucceeded, "succeeded"}, {RunStatus::kFailed, "failed"},
    {RunStatus::kCancelled, "cancelled"},
};

const char* StatusText(RunStatus status) {
  for (const auto& [known, text] : kStatuses) {
    if (known == status) return text;
  }
  return "";
}

std::optional<RunStatus> ParseStatus(std::string_view text) {
  for (const auto& [status, known] : kStatuses) {
    if (known == text) return status;
  }
  return std::nullopt;
}

std::string_view IdBytes(const run::RunId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

constexpr char kColumns[] =
    "run_no, run_id, tenant, project, flow_name, flow_digest, status, labels, actor, started_at, "
    "finished_at, error, last_seq, wake_at, turn";

absl::StatusOr<NumberedRun> ReadRow(const Statement& s) {
  NumberedRun run;
  run.run_no = s.Int(0);
  run.row.id = ToRunId(s.Blob(1));
  run.row.tenant = s.Text(2);
  run.row.project = s.Text(3);
  run.row.flow_name = s.Text(4);
  run.row.flow_digest = s.Text(5);
  std::optional<RunStatus> status = ParseStatus(s.Text(6));
  if (!status) {
    return absl::DataLossError(absl::StrCat("run ", run.row.id.ToString(), " has the status '",
                                            std::string(s.Text(6)), "', unknown to this release"));
  }
  run.row.status = *status;
  run.row.labels = ParseLabels(s.Text(7));
  run.row.actor = s.Text(8);
  run.row.started_at = absl::FromUnixNanos(s.Int(9));
  if (!s.IsNull(10)) run.row.finished_at = absl::FromUnixNanos(s.Int(10));
  run.row.error = s.Text(11);
  run.row.last_seq = static_cast<uint64_t>(s.Int(12));
  if (!s.IsNull(13)) run.row.wake_at = absl::FromUnixNanos(s.Int(13));
  run.row.turn = s.Text(14);
  return run;
}

// All rows of a bound statement.
absl::StatusOr<std::vector<NumberedRun>> ReadRows(Statement& s) {
  std::vector<NumberedRun> runs;
  while (true) {
    absl::StatusOr<bool> more = s.Step();
    if (!more.ok()) return more.status();
    if (!*more) return runs;
    absl::StatusOr<NumberedRun> run = ReadRow(s);
    if (!run.ok()) return run.status();
    runs.push_back(*std::move(run));
  }
}

void BindTime(Statement& s, int parameter, absl::Time time) {
  if (time == absl::InfiniteFuture()) {
    s.BindNull(parameter);
  } else {
    s.BindInt(parameter, absl::ToUnixNanos(time));
  }
}

void BindText(Statement& s, int parameter, const std::string* text) {
  if (text == nullptr || text->empty()) {
    s.BindNull(parameter);
  } else {
    s.BindText(parameter, *text);
  }
}

void BindFinished(Statement& s, int parameter, const RunRow& row) {
  if (ports::IsFinished(row.status)) {
    s.BindInt(parameter, absl::ToUnixNanos(row.finished_at));
  } else {
    s.BindNull(parameter);
  }
}

}  // namespace

run::RunId ToRunId(std::string_view bytes) {
  run::RunId id;
  if (bytes.size() == id.bytes.size()) std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

absl::StatusOr<RunWriter> RunWriter::Prepare(Connection& db) {
  RunWriter writer;
  const std::pair<Statement RunWriter::*, const char*> statements[] = {
      {&RunWriter::insert_,
       "INSERT INTO runs (run_id, tenant, project, flow_name, flow_digest, status, labels, actor, "
       "started_at, finished_at, error, last_seq, request_id, request_hash, wake_at, turn) "
       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
      {&RunWriter::update_,
       "UPDATE runs SET status = ?2, finished_at = ?3, error = ?4, last_seq = ?5, wake_at = ?6 "
       "WHERE run_no = ?1"},
      {&RunWriter::find_, "SELECT run_no, finished_at FROM runs WHERE run_id = ?1"},
      {&RunWriter::delete_, "DELETE FROM runs WHERE run_no = ?1"},
      {&RunWriter::flow_, "INSERT OR IGNORE INTO flows (digest, name, source) VALUES (?1, ?2, ?3)"},
      {&RunWriter::key_,
       "INSERT OR REPLACE INTO run_keys (tenant, key, flow_name, run_no, hash) "
       "VALUES (?1, ?2, ?3, ?4, ?5)"},
      {&RunWriter::cached_,
       "INSERT OR REPLACE INTO cache (tenant, key, run_no, seq, made_at, expires_at) "
       "SELECT tenant, ?1, ?2, ?3, ?4, ?5 FROM runs WHERE run_no = ?2"},
      {&RunWriter::forget_key_, "DELETE FROM run_keys WHERE run_no = ?1"},
      {&RunWriter::forget_cached_, "DELETE FROM cache WHERE run_no = ?1"},
  };
  for (const auto& [member, sql] : statements) {
    absl::StatusOr<Statement> statement = db.Prepare(sql);
    if (!statement.ok()) return statement.status();
    writer.*member = *std::move(statement);
  }
  return writer;
}

absl::StatusOr<int64_t> RunWriter::Insert(Connection& db, const RunRow& row,
                                          const run::RunStarted* start) {
  const std::string labels = LabelsText(row.labels);
  insert_.BindBlob(1, IdBytes(row.id));
  insert_.BindText(2, row.tenant);
  insert_.BindText(3, row.project);
  insert_.BindText(4, row.flow_name);
  insert_.BindText(5, row.flow_digest);
  insert_.BindText(6, StatusText(row.status));
  insert_.BindText(7, labels);
  insert_.BindText(8, row.actor);
  insert_.BindInt(9, absl::ToUnixNanos(row.started_at));
  BindFinished(insert_, 10, row);
  insert_.BindText(11, row.error);
  insert_.BindInt(12, static_cast<int64_t>(row.last_seq));
  BindText(insert_, 13, start == nullptr ? nullptr : &start->request_id);
  BindText(insert_, 14, start == nullptr ? nullptr : &start->request_hash);
  BindTime(insert_, 15, row.wake_at);
  insert_.BindText(16, row.turn);
  if (absl::Status s = insert_.Run(); !s.ok()) return s;
  return db.last_insert_rowid();
}

absl::Status RunWriter::Update(int64_t run_no, const RunRow& row) {
  update_.BindInt(1, run_no);
  update_.BindText(2, StatusText(row.status));
  BindFinished(update_, 3, row);
  update_.BindText(4, row.error);
  update_.BindInt(5, static_cast<int64_t>(row.last_seq));
  BindTime(update_, 6, row.wake_at);
  return update_.Run();
}

absl::StatusOr<std::optional<RunWriter::Found>> RunWriter::Find(const run::RunId& id) {
  ResetOnExit reset(find_);
  find_.BindBlob(1, IdBytes(id));
  absl::StatusOr<bool> row = find_.Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return Found{find_.Int(0), !find_.IsNull(1)};
}

absl::Status RunWriter::Delete(int64_t run_no) {
  for (Statement* statement : {&forget_key_, &forget_cached_, &delete_}) {
    statement->BindInt(1, run_no);
    if (absl::Status s = statement->Run(); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status RunWriter::SetKey(int64_t run_no, const RunRow& row, const std::string& key,
                               const std::string& hash) {
  key_.BindText(1, row.tenant);
  key_.BindText(2, key);
  key_.BindText(3, row.flow_name);
  key_.BindInt(4, run_no);
  key_.BindText(5, hash);
  return key_.Run();
}

absl::Status RunWriter::SetCached(int64_t run_no, const ports::CacheEntry& entry) {
  cached_.BindText(1, entry.key);
  cached_.BindInt(2, run_no);
  cached_.BindInt(3, static_cast<int64_t>(entry.seq));
  cached_.BindInt(4, absl::ToUnixNanos(entry.made_at));
  BindTime(cached_, 5, entry.expires_at);
  return cached_.Run();
}

absl::Status RunWriter::InsertFlow(const ports::FlowSource& flow) {
  flow_.BindText(1, flow.digest);
  flow_.BindText(2, flow.name);
  flow_.BindText(3, flow.source);
  return flow_.Run();
}

absl::StatusOr<Statement> PrepareSelectRun(Connection& db) {
  return db.Prepare(absl::StrCat("SELECT ", kColumns, " FROM runs WHERE run_id = ?1"));
}

absl::StatusOr<std::optional<NumberedRun>> SelectRun(Statement& select, const run::RunId& id) {
  ResetOnExit reset(select);
  select.BindBlob(1, IdBytes(id));
  absl::StatusOr<std::vector<NumberedRun>> runs = ReadRows(select);
  if (!runs.ok()) return runs.status();
  if (runs->empty()) return std::nullopt;
  return std::move((*runs)[0]);
}

absl::StatusOr<std::vector<NumberedRun>> ListRuns(Connection& db, const ports::RunQuery& query) {
  bool unfinished_only = !query.statuses.empty();
  std::vector<std::string> statuses;
  for (RunStatus status : query.statuses) {
    if (ports::IsFinished(status)) unfinished_only = false;
    statuses.push_back(absl::StrCat("'", StatusText(status), "'"));
  }
  // Unfinished runs are few: their index beats the tenant's (which "+" keeps the planner from).
  std::string sql = absl::StrCat("SELECT ", kColumns, " FROM runs WHERE ",
                                 unfinished_only ? "finished_at IS NULL AND +" : "", "tenant = ?1");
  if (!statuses.empty())
    absl::StrAppend(&sql, " AND status IN (", absl::StrJoin(statuses, ","), ")");
  if (!query.flow_name.empty()) absl::StrAppend(&sql, " AND flow_name = ?2");
  if (query.before) absl::StrAppend(&sql, " AND run_id < ?3");
  if (query.since != absl::InfinitePast()) absl::StrAppend(&sql, " AND started_at >= ?4");
  std::vector<std::string> labels;
  for (const auto& label : query.labels) {
    labels.push_back(LabelsText({label}));
    absl::StrAppend(&sql, " AND instr(labels, ?", 5 + labels.size(), ") > 0");
  }
  absl::StrAppend(&sql, " ORDER BY run_id DESC LIMIT ?5");

  absl::StatusOr<Statement> list = db.Prepare(sql);
  if (!list.ok()) return list.status();
  list->BindText(1, query.tenant);
  if (!query.flow_name.empty()) list->BindText(2, query.flow_name);
  if (query.before) list->BindBlob(3, IdBytes(*query.before));
  if (query.since != absl::InfinitePast()) list->BindInt(4, absl::ToUnixNanos(query.since));
  list->BindInt(5, std::max(query.limit, 0));
  for (size_t i = 0; i < labels.size(); ++i) list->BindText(static_cast<int>(6 + i), labels[i]);
  return ReadRows(*list);
}

absl::StatusOr<std::vector<NumberedRun>> UnfinishedRuns(Connection& db) {
  auto all = db.Prepare(
      absl::StrCat("SELECT ", kColumns, " FROM runs WHERE finished_at IS NULL ORDER BY run_id"));
  if (!all.ok()) return all.status();
  return ReadRows(*all);
}

absl::StatusOr<std::vector<run::RunId>> FindRuns(Connection& db, const std::string& tenant,
                                                 const std::string& part) {
  std::vector<run::RunId> found;
  // Reads the tenant's part of the index of ids, about 0.1 s for a million runs: people look for
  // the end of an id, which differs between neighbours, and no index helps with that.
  auto ids = db.Prepare("SELECT run_id FROM runs WHERE tenant = ?1 ORDER BY run_id DESC");
  if (!ids.ok()) return ids.status();
  ids->BindText(1, tenant);
  while (found.size() < kFoundRunsMax) {
    absl::StatusOr<bool> row = ids->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const run::RunId id = ToRunId(ids->Blob(0));
    if (MatchesPart(id, part)) found.push_back(id);
  }
  return found;
}

absl::StatusOr<std::optional<ports::EventStore::Request>> FindRequest(
    Connection& db, const std::string& tenant, const std::string& request_id) {
  auto find =
      db.Prepare("SELECT run_id, request_hash FROM runs WHERE tenant = ?1 AND request_id = ?2");
  if (!find.ok()) return find.status();
  find->BindText(1, tenant);
  find->BindText(2, request_id);
  absl::StatusOr<bool> row = find->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return ports::EventStore::Request{ToRunId(find->Blob(0)), std::string(find->Text(1))};
}

absl::StatusOr<std::optional<ports::EventStore::Keyed>> FindKey(Connection& db,
                                                                const std::string& tenant,
                                                                const std::string& flow_name,
                                                                const std::string& key) {
  auto find = db.Prepare(
      "SELECT run_id, hash, started_at FROM run_keys JOIN runs USING (run_no) "
      "WHERE run_keys.tenant = ?1 AND key = ?2 AND run_keys.flow_name = ?3");
  if (!find.ok()) return find.status();
  find->BindText(1, tenant);
  find->BindText(2, key);
  find->BindText(3, flow_name);
  absl::StatusOr<bool> row = find->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return ports::EventStore::Keyed{ToRunId(find->Blob(0)), std::string(find->Text(1)),
                                  absl::FromUnixNanos(find->Int(2))};
}

absl::StatusOr<std::vector<run::RunId>> FindKeyed(Connection& db, const std::string& tenant,
                                                  const std::string& key) {
  auto find = db.Prepare(
      "SELECT run_id FROM run_keys JOIN runs USING (run_no) "
      "WHERE run_keys.tenant = ?1 AND key = ?2 ORDER BY run_id");
  if (!find.ok()) return find.status();
  find->BindText(1, tenant);
  find->BindText(2, key);
  std::vector<run::RunId> runs;
  while (true) {
    absl::StatusOr<bool> row = find->Step();
    if (!row.ok()) return row.status();
    if (!*row) return runs;
    runs.push_back(ToRunId(find->Blob(0)));
  }
}

absl::StatusOr<std::optional<ports::EventStore::Cached>> FindCached(Connection& db,
                                                                    const std::string& tenant,
                                                                    const std::string& key) {
  auto find = db.Prepare(
      "SELECT run_id, seq, made_at, expires_at FROM cache JOIN runs USING (run_no) "
      "WHERE cache.tenant = ?1 AND key = ?2");
  if (!find.ok()) return find.status();
  find->BindText(1, tenant);
  find->BindText(2, key);
  absl::StatusOr<bool> row = find->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  ports::CacheEntry entry{key, static_cast<uint64_t>(find->Int(1)),
                          absl::FromUnixNanos(find->Int(2))};
  if (!find->IsNull(3)) entry.expires_at = absl::FromUnixNanos(find->Int(3));
  return ports::EventStore::Cached{ToRunId(find->Blob(0)), std::move(entry)};
}

absl::StatusOr<std::optional<ports::FlowSource>> SelectFlow(Connection& db,
                                                            const std::string& digest) {
  auto get = db.Prepare("SELECT digest, name, source FROM flows WHERE digest = ?1");
  if (!get.ok()) return get.status();
  get->BindText(1, digest);
  absl::StatusOr<bool> row = get->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return ports::FlowSource{std::string(get->Text(0)), std::string(get->Text(1)),
                           std::string(get->Text(2))};
}

bool MatchesPart(const run::RunId& id, const std::string& part) {
  const std::string text = id.ToString();
  return part.size() >= 4 && (absl::StartsWith(text, part) || absl::EndsWith(text, part));
}

}  // namespace beamline::store
