// The SQL of dead letters. A page is read from an index, in the order of their numbers.
#include "daemon/store/dead_letter_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

using ports::DeadLetterQuery;
using ports::DeadLetterRow;

constexpr char kSelect[] =
    "SELECT letter_no, run_id, dead_letters.flow_name, path, kind, parked, reason, error_kind, "
    "dead_letters.error, exit_code, attempts, attempts_max, items_failed, at "
    "FROM dead_letters JOIN runs USING (run_no) WHERE dead_letters.tenant = ?1";

DeadLetterRow ReadRow(const Statement& s) {
  DeadLetterRow row;
  row.number = static_cast<uint64_t>(s.Int(0));
  const std::string_view id = s.Blob(1);
  std::copy_n(id.begin(), std::min(id.size(), row.run.bytes.size()), row.run.bytes.begin());
  row.flow_name = s.Text(2);
  row.letter = {
      .path = std::string(s.Text(3)),
      .kind = std::string(s.Text(4)),
      .parked = s.Int(5) != 0,
      .reason = std::string(s.Text(6)),
      .error = {std::string(s.Text(7)), std::string(s.Text(8)), static_cast<int32_t>(s.Int(9))},
      .attempts = static_cast<int32_t>(s.Int(10)),
      .attempts_max = static_cast<int32_t>(s.Int(11)),
      .items_failed = static_cast<int32_t>(s.Int(12)),
      .at = absl::FromUnixNanos(s.Int(13))};
  return row;
}

}  // namespace

absl::StatusOr<DeadLetterWriter> DeadLetterWriter::Prepare(Connection& db) {
  DeadLetterWriter writer;
  const std::pair<Statement DeadLetterWriter::*, const char*> statements[] = {
      {&DeadLetterWriter::insert_,
       "INSERT OR REPLACE INTO dead_letters (tenant, flow_name, run_no, path, kind, parked, "
       "reason, error_kind, error, exit_code, attempts, attempts_max, items_failed, at) "
       "SELECT tenant, flow_name, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 "
       "FROM runs WHERE run_no = ?1"},
      {&DeadLetterWriter::delete_, "DELETE FROM dead_letters WHERE run_no = ?1 AND path = ?2"},
      // "0" follows "/", and "\" follows "[".
      {&DeadLetterWriter::delete_below_,
       "DELETE FROM dead_letters WHERE run_no = ?1 AND (path = ?2 OR "
       "(path > ?2 || '/' AND path < ?2 || '0') OR (path > ?2 || '[' AND path < ?2 || '\\'))"},
      {&DeadLetterWriter::delete_run_, "DELETE FROM dead_letters WHERE run_no = ?1"},
  };
  for (const auto& [member, sql] : statements) {
    absl::StatusOr<Statement> statement = db.Prepare(sql);
    if (!statement.ok()) return statement.status();
    writer.*member = *std::move(statement);
  }
  return writer;
}

absl::Status DeadLetterWriter::Apply(int64_t run_no, const run::DeadLetterChange& change) {
  if (!change.letter) {
    Statement& statement = change.below ? delete_below_ : delete_;
    statement.BindInt(1, run_no);
    statement.BindText(2, change.path);
    return statement.Run();
  }
  const run::DeadLetter& letter = *change.letter;
  insert_.BindInt(1, run_no);
  insert_.BindText(2, letter.path);
  insert_.BindText(3, letter.kind);
  insert_.BindInt(4, letter.parked ? 1 : 0);
  insert_.BindText(5, letter.reason);
  insert_.BindText(6, letter.error.kind);
  insert_.BindText(7, letter.error.message);
  insert_.BindInt(8, letter.error.exit_code);
  insert_.BindInt(9, letter.attempts);
  insert_.BindInt(10, letter.attempts_max);
  insert_.BindInt(11, letter.items_failed);
  insert_.BindInt(12, absl::ToUnixNanos(letter.at));
  return insert_.Run();
}

absl::Status DeadLetterWriter::DeleteRun(int64_t run_no) {
  delete_run_.BindInt(1, run_no);
  return delete_run_.Run();
}

absl::StatusOr<std::vector<DeadLetterRow>> SelectDeadLetters(Connection& db,
                                                             const DeadLetterQuery& query) {
  std::string sql = kSelect;
  if (query.before > 0) absl::StrAppend(&sql, " AND letter_no < ?2");
  if (!query.flow_name.empty()) absl::StrAppend(&sql, " AND dead_letters.flow_name = ?3");
  if (query.run) absl::StrAppend(&sql, " AND run_id = ?4");
  if (query.parked) absl::StrAppend(&sql, " AND parked = ?5");
  if (!query.error_kind.empty()) absl::StrAppend(&sql, " AND error_kind = ?6");
  if (query.since != absl::InfinitePast()) absl::StrAppend(&sql, " AND at >= ?7");
  absl::StrAppend(&sql, " ORDER BY letter_no DESC LIMIT ?8");
  absl::StatusOr<Statement> list = db.Prepare(sql);
  if (!list.ok()) return list.status();
  const std::string_view run =
      query.run ? std::string_view(reinterpret_cast<const char*>(query.run->bytes.data()),
                                   query.run->bytes.size())
                : std::string_view();
  list->BindText(1, query.tenant);
  if (query.before > 0) list->BindInt(2, static_cast<int64_t>(query.before));
  if (!query.flow_name.empty()) list->BindText(3, query.flow_name);
  if (query.run) list->BindBlob(4, run);
  if (query.parked) list->BindInt(5, *query.parked ? 1 : 0);
  if (!query.error_kind.empty()) list->BindText(6, query.error_kind);
  if (query.since != absl::InfinitePast()) list->BindInt(7, absl::ToUnixNanos(query.since));
  list->BindInt(8, std::max(query.limit, 0));
  std::vector<DeadLetterRow> rows;
  while (true) {
    absl::StatusOr<bool> more = list->Step();
    if (!more.ok()) return more.status();
    if (!*more) return rows;
    rows.push_back(ReadRow(*list));
  }
}

absl::StatusOr<std::optional<DeadLetterRow>> SelectDeadLetter(Connection& db,
                                                              const std::string& tenant,
                                                              uint64_t number) {
  auto get = db.Prepare(absl::StrCat(kSelect, " AND letter_no = ?2"),
                        {Param::Text(tenant), Param::Int(static_cast<int64_t>(number))});
  if (!get.ok()) return get.status();
  absl::StatusOr<bool> row = get->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return ReadRow(*get);
}

absl::StatusOr<uint64_t> CountDeadLetters(Connection& db, const std::string& tenant, uint64_t max) {
  auto count = db.Prepare(
      "SELECT count(*) FROM (SELECT 1 FROM dead_letters INDEXED BY dead_letters_of_tenant "
      "WHERE tenant = ?1 LIMIT ?2)",
      {Param::Text(tenant), Param::Int(static_cast<int64_t>(max))});
  if (!count.ok()) return count.status();
  absl::StatusOr<bool> row = count->Step();
  if (!row.ok()) return row.status();
  return static_cast<uint64_t>(count->Int(0));
}

bool IsAtOrBelow(std::string_view path, std::string_view above) {
  return path.substr(0, above.size()) == above &&
         (path.size() == above.size() || path[above.size()] == '/' || path[above.size()] == '[');
}

bool Fits(const DeadLetterRow& row, const DeadLetterQuery& query) {
  return (query.before == 0 || row.number < query.before) &&
         (query.flow_name.empty() || row.flow_name == query.flow_name) &&
         (!query.run || row.run == *query.run) &&
         (!query.parked || row.letter.parked == *query.parked) &&
         (query.error_kind.empty() || row.letter.error.kind == query.error_kind) &&
         row.letter.at >= query.since;
}

absl::Status DeadLetterNotFound(uint64_t number) {
  return absl::NotFoundError(absl::StrCat("no dead letter d", number));
}

}  // namespace beamline::store
