// The log of all runs in the order of its rows, and how far its followers have got.
#include "daemon/store/log_table.h"
#include "daemon/store/run_table.h"
#include "daemon/store/sqlite_store.h"

namespace beamline::store {

// The join leaves out the mark of LogWriter::DeleteRun, which belongs to no run.
absl::StatusOr<std::vector<ports::FollowedLog::Entry>> SqliteStore::ReadLog(
    uint64_t position, int entries_max, size_t bytes_max) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto rows = (*reader)->db.Prepare(
      "SELECT pos, run_no, seq, n, crc, events, run_id FROM log JOIN runs USING (run_no) "
      "WHERE pos > ?1 ORDER BY pos LIMIT ?2",
      {Param::Int(static_cast<int64_t>(position)), Param::Int(entries_max)});
  if (!rows.ok()) return rows.status();
  std::vector<Entry> entries;
  for (size_t bytes = 0; bytes < bytes_max;) {
    const absl::StatusOr<bool> row = rows->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    Entry& entry = entries.emplace_back(Entry{.position = static_cast<uint64_t>(rows->Int(0)),
                                              .run = ToRunId(rows->Blob(6)),
                                              .events = std::vector<run::Event>()});
    History history(static_cast<uint64_t>(rows->Int(2)) - 1);
    const absl::Status added =
        history.Add(rows->Int(1), rows->Int(2), rows->Int(3), rows->Int(4), rows->Blob(5));
    if (added.ok()) {
      entry.events = history.Take();
    } else {
      entry.events = added;
    }
    bytes += rows->Blob(5).size();
  }
  return entries;
}

absl::StatusOr<uint64_t> SqliteStore::LogEnd() const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  const auto end = (*reader)->db.QueryInt("SELECT ifnull(max(pos), 0) FROM log");
  if (!end.ok()) return end.status();
  return static_cast<uint64_t>(*end);
}

absl::StatusOr<std::map<std::string, uint64_t>> SqliteStore::Cursors() const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto rows = (*reader)->db.Prepare("SELECT follower, pos FROM cursors");
  if (!rows.ok()) return rows.status();
  std::map<std::string, uint64_t> cursors;
  while (true) {
    const absl::StatusOr<bool> row = rows->Step();
    if (!row.ok()) return row.status();
    if (!*row) return cursors;
    cursors[std::string(rows->Text(0))] = static_cast<uint64_t>(rows->Int(1));
  }
}

absl::Status SqliteStore::MoveCursor(const std::string& follower, uint64_t position) {
  if (!broken_.ok()) return broken_;
  if (absl::Status s = BoundLog(); !s.ok()) return s;
  return Transact([&] {
    return db_.Run("INSERT OR REPLACE INTO cursors VALUES (?1, ?2)",
                   {Param::Text(follower), Param::Int(static_cast<int64_t>(position))});
  });
}

absl::Status SqliteStore::DropCursor(const std::string& follower) {
  if (!broken_.ok()) return broken_;
  return Transact(
      [&] { return db_.Run("DELETE FROM cursors WHERE follower = ?1", {Param::Text(follower)}); });
}

}  // namespace beamline::store
