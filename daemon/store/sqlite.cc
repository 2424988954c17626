// The only file besides sqlite_store.cc that calls SQLite.
#include "daemon/store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

// Fewer readers than this ever wait for each other, and never for long.
constexpr int kBusyTimeoutMs = 5000;

bool DiskFull(sqlite3* db, int primary) {
  if (primary == SQLITE_FULL) return true;
  const int error = db == nullptr ? 0 : sqlite3_system_errno(db);
  return primary == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT);
}

// SQLite would make a new file as readable as the umask allows; its WAL gets the mode of the file.
// One that is there is left alone: closing it would end the locks of this process's connections.
void CreateForOwnerOnly(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
}

}  // namespace

absl::Status SqliteError(sqlite3* db, int code) {
  const int primary = code & 0xff;
  std::string message = absl::StrCat(db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db),
                                     " (SQLite ", code, ")");
  const int error = db == nullptr ? 0 : sqlite3_system_errno(db);
  if (error != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
    absl::StrAppend(&message, ": ", strerror(error));
  }
  if (DiskFull(db, primary)) return absl::ResourceExhaustedError("the disk is full: " + message);
  switch (primary) {
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(message);
    case SQLITE_IOERR:
      return absl::DataLossError("I/O error: " + message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError("the database is damaged: " + message);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return absl::UnavailableError(message);
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(message);
    default:
      return absl::InternalError(message);
  }
}

void Statement::Finalize::operator()(sqlite3_stmt* stmt) const { sqlite3_finalize(stmt); }

void Statement::BindInt(int parameter, int64_t value) {
  bind_error_ |= sqlite3_bind_int64(stmt_.get(), parameter, value);
}
void Statement::BindNull(int parameter) {
  bind_error_ |= sqlite3_bind_null(stmt_.get(), parameter);
}
void Statement::BindText(int parameter, std::string_view value) {
  // A null pointer would bind NULL, not the empty text.
  const char* data = value.data() == nullptr ? "" : value.data();
  bind_error_ |=
      sqlite3_bind_text64(stmt_.get(), parameter, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::BindBlob(int parameter, std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();
  bind_error_ |= sqlite3_bind_blob64(stmt_.get(), parameter, data, value.size(), SQLITE_STATIC);
}

absl::StatusOr<bool> Statement::Step() {
  if (bind_error_ != 0) {
    return absl::ResourceExhaustedError("a value is too large for the database");
  }
  const int code = sqlite3_step(stmt_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(stmt_.get());
  return SqliteError(db, sqlite3_extended_errcode(db));
}

absl::Status Statement::Run() {
  absl::StatusOr<bool> row = Step();
  Reset();
  return row.status();
}

void Statement::Reset() {
  sqlite3_reset(stmt_.get());
  bind_error_ = 0;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(stmt_.get(), column); }
bool Statement::IsNull(int column) const {
  return sqlite3_column_type(stmt_.get(), column) == SQLITE_NULL;
}
std::string_view Statement::Text(int column) const {
  auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt_.get(), column));
  return text == nullptr ? std::string_view()
                         : std::string_view(text, sqlite3_column_bytes(stmt_.get(), column));
}
std::string_view Statement::Blob(int column) const {
  auto* blob = static_cast<const char*>(sqlite3_column_blob(stmt_.get(), column));
  return blob == nullptr ? std::string_view()
                         : std::string_view(blob, sqlite3_column_bytes(stmt_.get(), column));
}

void Connection::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

absl::StatusOr<Connection> Connection::Open(const std::string& path, Mode mode,
                                            const std::string& vfs) {
  const int flags =
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (mode != Mode::kReadOnly && vfs.empty()) CreateForOwnerOnly(path);
  sqlite3* db = nullptr;
  // NOMUTEX: a connection is used by one thread at a time (SqliteStore sees to it).
  const int code = sqlite3_open_v2(path.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX,
                                   vfs.empty() ? nullptr : vfs.c_str());
  Connection connection;
  connection.db_.reset(db);
  if (code != SQLITE_OK) return SqliteError(db, code);
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  return connection;
}

absl::Status Connection::Execute(const std::string& sql) {
  if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return SqliteError(db_.get(), sqlite3_extended_errcode(db_.get()));
}

absl::StatusOr<Statement> Connection::Prepare(std::string_view sql) {
  sqlite3_stmt* stmt = nullptr;
  const int code = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
  if (code != SQLITE_OK) return SqliteError(db_.get(), sqlite3_extended_errcode(db_.get()));
  return Statement(stmt);
}

absl::StatusOr<Statement> Connection::Prepare(std::string_view sql,
                                              std::initializer_list<Param> params) {
  absl::StatusOr<Statement> statement = Prepare(sql);
  if (!statement.ok()) return statement;
  int at = 0;
  for (const Param& param : params) {
    ++at;
    switch (param.kind) {
      case Param::Kind::kNull:
        statement->BindNull(at);
        break;
      case Param::Kind::kInt:
        statement->BindInt(at, param.number);
        break;
      case Param::Kind::kText:
        statement->BindText(at, param.bytes);
        break;
      case Param::Kind::kBlob:
        statement->BindBlob(at, param.bytes);
        break;
    }
  }
  return statement;
}

absl::Status Connection::Run(std::string_view sql, std::initializer_list<Param> params) {
  absl::StatusOr<Statement> statement = Prepare(sql, params);
  return statement.ok() ? statement->Run() : statement.status();
}

absl::StatusOr<int64_t> Connection::QueryInt(std::string_view sql) {
  absl::StatusOr<Statement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  absl::StatusOr<bool> row = statement->Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::NotFoundError("no row");
  return statement->Int(0);
}

int64_t Connection::last_insert_rowid() const { return sqlite3_last_insert_rowid(db_.get()); }
bool Connection::in_transaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }

}  // namespace beamline::store
