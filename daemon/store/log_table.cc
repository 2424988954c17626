// Every row is checked for its place, its checksum and its numbering before it is believed.
#include "daemon/store/log_table.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "daemon/codec/event_codec.h"
#include "daemon/store/crc32c.h"

namespace beamline::store {
namespace {

constexpr char kLastSeq[] =
    "SELECT seq + n - 1 FROM log WHERE run_no = ?1 ORDER BY seq DESC LIMIT 1";

uint32_t RowChecksum(int64_t run_no, int64_t seq, int64_t n, std::string_view events) {
  const int64_t key[] = {run_no, seq, n};
  char bytes[sizeof(key)];
  std::memcpy(bytes, key, sizeof(key));
  return Crc32c(events, Crc32c(std::string_view(bytes, sizeof(bytes))));
}

absl::StatusOr<uint64_t> QueryLastSeq(Statement& statement, int64_t run_no) {
  ResetOnExit reset(statement);
  statement.BindInt(1, run_no);
  absl::StatusOr<bool> row = statement.Step();
  if (!row.ok()) return row.status();
  return *row ? static_cast<uint64_t>(statement.Int(0)) : 0;
}

}  // namespace

absl::Status History::Add(int64_t run_no, int64_t seq, int64_t n, int64_t crc,
                          std::string_view events) {
  auto place = [this] {
    return absl::StrCat("the history is damaged at event ", last_seq_ + 1, ": ");
  };
  if (static_cast<uint64_t>(seq) != last_seq_ + 1) {
    return absl::DataLossError(absl::StrCat(place(), "the next one stored is ", seq));
  }
  if (RowChecksum(run_no, seq, n, events) != crc) {
    return absl::DataLossError(absl::StrCat(place(), "wrong checksum"));
  }
  const size_t before = events_.size();
  if (absl::Status decoded = codec::DecodeEvents(events, &events_); !decoded.ok()) {
    return absl::DataLossError(absl::StrCat(place(), decoded.message()));
  }
  if (n < 1 || events_.size() - before != static_cast<uint64_t>(n)) {
    return absl::DataLossError(absl::StrCat(place(), events_.size() - before, " events, not ", n));
  }
  for (size_t i = before; i < events_.size(); ++i) {
    if (events_[i].seq != last_seq_ + 1) {
      return absl::DataLossError(absl::StrCat(place(), "it says that it is ", events_[i].seq));
    }
    ++last_seq_;
  }
  // Only the first row can begin before what is wanted.
  const auto wanted = std::find_if(events_.begin() + before, events_.end(),
                                   [this](const run::Event& e) { return e.seq > skip_to_; });
  events_.erase(events_.begin() + before, wanted);
  bytes_ += events.size();
  return absl::OkStatus();
}

absl::StatusOr<LogWriter> LogWriter::Prepare(Connection& db) {
  auto insert =
      db.Prepare("INSERT INTO log (run_no, seq, n, crc, events) VALUES (?1, ?2, ?3, ?4, ?5)");
  if (!insert.ok()) return insert.status();
  auto last = db.Prepare(kLastSeq);
  if (!last.ok()) return last.status();
  auto remove = db.Prepare("DELETE FROM log WHERE run_no = ?1");
  if (!remove.ok()) return remove.status();
  auto end = db.Prepare("SELECT max(pos) FROM log");
  if (!end.ok()) return end.status();
  // There is one mark: the next one replaces it by its unique (run_no, seq).
  auto mark = db.Prepare(
      "INSERT OR REPLACE INTO log (pos, run_no, seq, n, crc, events) SELECT ?1, 0, 0, 0, 0, x'' "
      "WHERE NOT EXISTS (SELECT 1 FROM log WHERE pos = ?1)");
  if (!mark.ok()) return mark.status();
  LogWriter writer;
  writer.insert_ = *std::move(insert);
  writer.last_ = *std::move(last);
  writer.delete_ = *std::move(remove);
  writer.end_ = *std::move(end);
  writer.mark_ = *std::move(mark);
  return writer;
}

absl::Status LogWriter::Insert(int64_t run_no, uint64_t seq, size_t n, std::string_view events) {
  insert_.BindInt(1, run_no);
  insert_.BindInt(2, static_cast<int64_t>(seq));
  insert_.BindInt(3, static_cast<int64_t>(n));
  insert_.BindInt(4,
                  RowChecksum(run_no, static_cast<int64_t>(seq), static_cast<int64_t>(n), events));
  insert_.BindBlob(5, events);
  return insert_.Run();
}

absl::StatusOr<uint64_t> LogWriter::LastSeq(int64_t run_no) { return QueryLastSeq(last_, run_no); }

absl::Status LogWriter::DeleteRun(int64_t run_no) {
  int64_t end = 0;
  {
    ResetOnExit reset(end_);
    const absl::StatusOr<bool> row = end_.Step();
    if (!row.ok()) return row.status();
    end = end_.Int(0);
  }
  delete_.BindInt(1, run_no);
  if (absl::Status s = delete_.Run(); !s.ok()) return s;
  mark_.BindInt(1, end);
  return mark_.Run();
}

absl::StatusOr<LogReader> LogReader::Prepare(Connection& db) {
  auto last = db.Prepare(kLastSeq);
  if (!last.ok()) return last.status();
  // From the row that holds event ?2 on, which may begin before it.
  auto rows = db.Prepare(
      "SELECT seq, n, crc, events FROM log WHERE run_no = ?1 AND seq >= ifnull((SELECT seq FROM "
      "log WHERE run_no = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1), 0) ORDER BY seq");
  if (!rows.ok()) return rows.status();
  LogReader reader;
  reader.last_ = *std::move(last);
  reader.rows_ = *std::move(rows);
  return reader;
}

absl::StatusOr<uint64_t> LogReader::LastSeq(int64_t run_no) { return QueryLastSeq(last_, run_no); }

absl::StatusOr<std::vector<run::Event>> LogReader::Read(int64_t run_no, uint64_t after_seq,
                                                        uint64_t last_seq_min, size_t bytes_max) {
  ResetOnExit reset(rows_);
  rows_.BindInt(1, run_no);
  rows_.BindInt(2, static_cast<int64_t>(after_seq + 1));
  History history(after_seq, after_seq);
  bool first = true, more = true;
  while (true) {
    absl::StatusOr<bool> row = rows_.Step();
    if (!row.ok()) return row.status();
    more = *row;
    if (!more) break;
    const int64_t seq = rows_.Int(0);
    // The first row may begin before what is asked for.
    if (first && seq >= 1 && static_cast<uint64_t>(seq) <= after_seq) {
      if (static_cast<uint64_t>(seq + rows_.Int(1)) <= after_seq + 1) continue;
      history = History(static_cast<uint64_t>(seq) - 1, after_seq);
    }
    first = false;
    absl::Status added = history.Add(run_no, seq, rows_.Int(1), rows_.Int(2), rows_.Blob(3));
    if (!added.ok()) return added;
    if (history.bytes() >= bytes_max) break;
  }
  if (!more && history.last_seq() < last_seq_min) {
    return absl::DataLossError(absl::StrCat("the history is damaged at event ",
                                            history.last_seq() + 1, ": it ends there and should ",
                                            "reach ", last_seq_min));
  }
  return history.Take();
}

}  // namespace beamline::store
