// SQLite behind values: a connection, a statement, and statuses that say what to do.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace beamline::store {

// A prepared statement. Columns and parameters count from 0 and 1, as in SQLite. Views returned by
// Text/Blob live until the next Step or Reset. A failed bind shows as the status of Step.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* stmt) : stmt_(stmt) {}

  void BindInt(int parameter, int64_t value);
  void BindNull(int parameter);
  // The bytes must live until Reset: they are not copied.
  void BindText(int parameter, std::string_view value);
  void BindBlob(int parameter, std::string_view value);

  // True: a row is there; false: done.
  absl::StatusOr<bool> Step();
  // Steps to the end of a statement that returns no rows, and resets it.
  absl::Status Run();
  void Reset();

  int64_t Int(int column) const;
  bool IsNull(int column) const;
  std::string_view Text(int column) const;
  std::string_view Blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* stmt) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> stmt_;
  int bind_error_ = 0;
};

// One parameter of a statement. Text and blobs are borrowed, as by Statement::BindText.
struct Param {
  enum class Kind { kNull, kInt, kText, kBlob };
  static Param Null() { return {}; }
  static Param Int(int64_t value) { return {Kind::kInt, value, {}}; }
  static Param Text(std::string_view value) { return {Kind::kText, 0, value}; }
  static Param Blob(std::string_view value) { return {Kind::kBlob, 0, value}; }

  Kind kind = Kind::kNull;
  int64_t number = 0;
  std::string_view bytes;
};

// Resets a statement at the end of a block, so that it holds no read lock while it rests.
class ResetOnExit {
 public:
  explicit ResetOnExit(Statement& statement) : statement_(statement) {}
  ~ResetOnExit() { statement_.Reset(); }
  ResetOnExit(const ResetOnExit&) = delete;

 private:
  Statement& statement_;
};

// One connection. Not thread-safe.
class Connection {
 public:
  enum class Mode { kReadOnly, kReadWrite };
  // `vfs`: SQLite's name of it; empty = the default one. See SqliteError for the codes.
  static absl::StatusOr<Connection> Open(const std::string& path, Mode mode,
                                         const std::string& vfs);

  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  // With its parameters bound in order: for what is asked too rarely to keep a statement for.
  absl::StatusOr<Statement> Prepare(std::string_view sql, std::initializer_list<Param> params);
  // Runs such a statement to its end.
  absl::Status Run(std::string_view sql, std::initializer_list<Param> params);
  // The first column of the first row of `sql`.
  absl::StatusOr<int64_t> QueryInt(std::string_view sql);
  int64_t last_insert_rowid() const;
  bool in_transaction() const;
  sqlite3* get() const { return db_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  std::unique_ptr<sqlite3, Close> db_;
};

// The status for SQLite's result code `code` (extended). ResourceExhausted: disk full or out of
// memory; DataLoss: an I/O error, a damaged file, not a database; PermissionDenied: cannot open or
// write; AlreadyExists: a UNIQUE constraint; Unavailable: locked by somebody else.
absl::Status SqliteError(sqlite3* db, int code);

}  // namespace beamline::store
