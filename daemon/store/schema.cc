// The SQL that makes the tables, and the step from each version to the next.
#include "daemon/store/schema.h"

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

// Marks the file as ours (PRAGMA application_id): "BmLn".
constexpr int64_t kApplicationId = 0x426d4c6e;

// kMigrations[n] leads from version n to n + 1. Never changed once released.
//
// The log is a rowid table because appending at its end is what SQLite does fastest; `run_no`
// stands for the run's id to keep its unique index small. `seq` is that of the row's first event,
// of `n`. `crc` is over run_no, seq, n and events, so that a row cannot pass for another one.
//
// runs.last_seq is written with the row's other columns only: a lower bound while the run goes on,
// exact once it is finished. finished_at is null while it is not.
constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('schema_version', 0);

CREATE TABLE flows (
  digest TEXT PRIMARY KEY,
  name   TEXT NOT NULL,
  source TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE runs (
  run_no       INTEGER PRIMARY KEY,
  run_id       BLOB NOT NULL UNIQUE CHECK (length(run_id) = 16),
  tenant       TEXT NOT NULL,
  project      TEXT NOT NULL,
  flow_name    TEXT NOT NULL,
  flow_digest  TEXT NOT NULL,
  status       TEXT NOT NULL,
  labels       TEXT NOT NULL,     -- "&key=value&key=value&", % escapes
  actor        TEXT NOT NULL,
  started_at   INTEGER NOT NULL,  -- nanoseconds since 1970
  finished_at  INTEGER,
  error        TEXT NOT NULL,
  request_id   TEXT,
  request_hash TEXT,
  last_seq     INTEGER NOT NULL
);
CREATE INDEX runs_of_tenant ON runs (tenant, run_id);
CREATE INDEX runs_unfinished ON runs (run_id) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX runs_request ON runs (tenant, request_id) WHERE request_id IS NOT NULL;

CREATE TABLE log (
  pos    INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  crc    INTEGER NOT NULL,
  events BLOB NOT NULL
);
CREATE UNIQUE INDEX log_of_run ON log (run_no, seq);
)sql",
    // wake_at: of a run that only waits, when it goes on by itself; null: never.
    R"sql(
ALTER TABLE runs ADD COLUMN wake_at INTEGER;
ALTER TABLE runs ADD COLUMN turn TEXT NOT NULL DEFAULT '';

CREATE TABLE run_keys (
  tenant    TEXT NOT NULL,
  key       TEXT NOT NULL,
  flow_name TEXT NOT NULL,
  run_no    INTEGER NOT NULL,
  hash      TEXT NOT NULL,
  PRIMARY KEY (tenant, key, flow_name)
) WITHOUT ROWID;
CREATE INDEX run_keys_of_run ON run_keys (run_no);

CREATE TABLE cache (
  tenant     TEXT NOT NULL,
  key        TEXT NOT NULL,
  run_no     INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  made_at    INTEGER NOT NULL,  -- nanoseconds since 1970
  expires_at INTEGER,
  PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX cache_of_run ON cache (run_no);

CREATE TABLE registered_flows (
  tenant  TEXT NOT NULL,
  name    TEXT NOT NULL,
  version INTEGER NOT NULL,       -- the current one, of flow_versions
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE TABLE flow_versions (
  tenant    TEXT NOT NULL,
  name      TEXT NOT NULL,
  version   INTEGER NOT NULL,
  digest    TEXT,                 -- null: removed
  at        INTEGER NOT NULL,     -- nanoseconds since 1970, as all times here
  actor     TEXT NOT NULL,
  workspace TEXT NOT NULL,
  PRIMARY KEY (tenant, name, version)
) WITHOUT ROWID;
CREATE INDEX flow_versions_digest ON flow_versions (tenant, digest);

CREATE TABLE flow_requests (
  tenant     TEXT NOT NULL,
  request_id TEXT NOT NULL,
  name       TEXT NOT NULL,
  version    INTEGER NOT NULL,    -- what it led to
  PRIMARY KEY (tenant, request_id)
) WITHOUT ROWID;

CREATE TABLE triggers (
  trigger_no INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant     TEXT NOT NULL,
  flow       TEXT NOT NULL,
  key        TEXT NOT NULL,
  place      INTEGER NOT NULL,    -- in the flow's list of triggers
  kind       TEXT NOT NULL,
  what       TEXT NOT NULL,
  tz         TEXT NOT NULL,
  overlap    TEXT NOT NULL,
  catchup    TEXT NOT NULL,
  run_when   TEXT NOT NULL,
  cursor     INTEGER NOT NULL,
  last_for   INTEGER,             -- the last decision; null: none yet
  last_at    INTEGER,
  decision   TEXT NOT NULL DEFAULT '',
  reason     TEXT NOT NULL DEFAULT '',
  run_id     BLOB,
  UNIQUE (tenant, flow, key)
);
CREATE INDEX triggers_by_runs ON triggers (tenant, what) WHERE kind = 'flow';

CREATE TABLE due_starts (
  due_no       INTEGER PRIMARY KEY AUTOINCREMENT,
  trigger_no   INTEGER NOT NULL,
  scheduled_at INTEGER NOT NULL,
  cause        BLOB               -- the run whose end it is; null for a timetable
);
CREATE INDEX due_of_trigger ON due_starts (trigger_no);
)sql",
    // Numbers are never used again: a page of the list begins behind one.
    R"sql(
CREATE TABLE dead_letters (
  letter_no    INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant       TEXT NOT NULL,
  flow_name    TEXT NOT NULL,
  run_no       INTEGER NOT NULL,
  path         TEXT NOT NULL,
  kind         TEXT NOT NULL,
  parked       INTEGER NOT NULL,  -- 0: it has failed its run
  reason       TEXT NOT NULL,
  error_kind   TEXT NOT NULL,
  error        TEXT NOT NULL,
  exit_code    INTEGER NOT NULL,
  attempts     INTEGER NOT NULL,
  attempts_max INTEGER NOT NULL,
  items_failed INTEGER NOT NULL,
  at           INTEGER NOT NULL,  -- nanoseconds since 1970
  UNIQUE (run_no, path)
);
CREATE INDEX dead_letters_of_tenant ON dead_letters (tenant, letter_no);
CREATE INDEX dead_letters_of_flow ON dead_letters (tenant, flow_name, letter_no);
)sql",
    // Tasks of `approve` steps. A number is never given twice, hence AUTOINCREMENT. task_voters
    // holds whom open tasks ask ("user:ada", "group:editors", "*"); `barred` may not decide
    // although asked: who started the run.
    R"sql(
CREATE TABLE tasks (
  task       INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant     TEXT NOT NULL,
  run_no     INTEGER NOT NULL,
  seq        INTEGER NOT NULL,    -- of the TaskOpened of the round
  path       TEXT NOT NULL,
  state      TEXT NOT NULL,
  title      TEXT NOT NULL,
  round      INTEGER NOT NULL,
  max_rounds INTEGER NOT NULL,
  quorum     INTEGER NOT NULL,
  approvals  INTEGER NOT NULL,
  initiator  TEXT NOT NULL,
  barred     TEXT NOT NULL,
  opened_at  INTEGER NOT NULL,
  until      INTEGER,             -- null: never
  escalated  INTEGER NOT NULL,
  digest     TEXT NOT NULL
);
CREATE INDEX tasks_open ON tasks (tenant, task) WHERE state = 'open';
CREATE INDEX tasks_of_run ON tasks (run_no);

CREATE TABLE task_voters (
  tenant TEXT NOT NULL,
  voter  TEXT NOT NULL,
  task   INTEGER NOT NULL,
  barred TEXT NOT NULL,
  PRIMARY KEY (tenant, voter, task)
) WITHOUT ROWID;
CREATE INDEX task_voters_of_task ON task_voters (task);

-- Kept by triggers: counting 100,000 takes too long.
CREATE TABLE task_counts (
  tenant TEXT PRIMARY KEY,
  open   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER task_inserted AFTER INSERT ON tasks BEGIN
  INSERT INTO task_counts VALUES (NEW.tenant, NEW.state = 'open')
    ON CONFLICT (tenant) DO UPDATE SET open = open + excluded.open;
END;
CREATE TRIGGER task_changed AFTER UPDATE OF state ON tasks BEGIN
  UPDATE task_counts SET open = open + (NEW.state = 'open') - (OLD.state = 'open')
    WHERE tenant = NEW.tenant;
END;
CREATE TRIGGER task_deleted AFTER DELETE ON tasks BEGIN
  UPDATE task_counts SET open = open - (OLD.state = 'open') WHERE tenant = OLD.tenant;
END;
)sql",
    R"sql(
-- How far those who follow the log have got: the pos of the last row that is done with.
CREATE TABLE cursors (
  follower TEXT PRIMARY KEY,
  pos      INTEGER NOT NULL
) WITHOUT ROWID;

-- Votes that were handed on: whose ("user:ada"), and whose they are now. They outlive the rounds of
-- the task, as the delegation does.
CREATE TABLE task_handovers (
  task   INTEGER NOT NULL,
  voter  TEXT NOT NULL,
  holder TEXT NOT NULL,
  PRIMARY KEY (task, voter)
) WITHOUT ROWID;
)sql",
};
static_assert(std::size(kMigrations) == kSchemaVersion);

// 0 for an empty database.
absl::StatusOr<int64_t> Version(Connection& db) {
  absl::StatusOr<int64_t> id = db.QueryInt("PRAGMA application_id");
  if (!id.ok()) return id.status();
  if (*id == kApplicationId) {
    return db.QueryInt("SELECT value FROM meta WHERE name = 'schema_version'");
  }
  absl::StatusOr<int64_t> tables = db.QueryInt("SELECT count(*) FROM sqlite_schema");
  if (!tables.ok()) return tables.status();
  if (*id != 0 || *tables != 0) {
    return absl::FailedPreconditionError(
        "the database belongs to another program; choose another directory");
  }
  return 0;
}

absl::Status Upgrade(Connection& db, int64_t from) {
  for (int64_t version = from; version < kSchemaVersion; ++version) {
    if (absl::Status s = db.Execute(kMigrations[version]); !s.ok()) return s;
  }
  return db.Execute(
      absl::StrCat("UPDATE meta SET value = ", kSchemaVersion,
                   " WHERE name = 'schema_version'; PRAGMA application_id = ", kApplicationId));
}

}  // namespace

absl::Status Migrate(Connection& db) {
  absl::StatusOr<int64_t> version = Version(db);
  if (!version.ok()) return version.status();
  if (*version == kSchemaVersion) return absl::OkStatus();
  if (*version > kSchemaVersion || *version < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the store was written by a newer release (schema ", *version,
                     ", this release knows up to ", kSchemaVersion, "); upgrade beamlined"));
  }
  if (absl::Status s = db.Execute("BEGIN IMMEDIATE"); !s.ok()) return s;
  absl::Status status = Upgrade(db, *version);
  if (status.ok()) status = db.Execute("COMMIT");
  if (!status.ok() && db.in_transaction()) db.Execute("ROLLBACK").IgnoreError();
  return status;
}

}  // namespace beamline::store
