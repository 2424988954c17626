// A store that an earlier release wrote opens, with all that is in it.
#include <doctest/doctest.h>

#include "daemon/store/schema.h"
#include "daemon/store/sqlite_store.h"
#include "runs.h"

namespace beamline::store {
namespace {

// The tables of schema 1, as beamlined 0.1 made them: a fixture, never changed.
constexpr char kSchema1[] = R"sql(
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
)sql";

// Leaves a store of schema 1 in `directory` with a finished run of the flow "build".
void WriteSchema1(const std::string& directory) {
  auto db = Connection::Open(directory + "/runs.db", Connection::Mode::kReadWrite, "");
  REQUIRE(db.ok());
  REQUIRE(db->Execute(kSchema1).ok());
  REQUIRE(db->Execute("UPDATE meta SET value = 1; PRAGMA application_id = 0x426d4c6e;"
                      "INSERT INTO flows VALUES ('aa11', 'build', 'the source');"
                      "INSERT INTO runs VALUES (1, zeroblob(16), 'local', 'default', 'build', "
                      "'aa11', 'succeeded', '&', 'uid:1', 0, 1, '', NULL, NULL, 3)")
              .ok());
}

TEST_CASE("a store of schema 1 migrates forward and keeps its runs") {
  TempDir directory;
  WriteSchema1(directory.path());
  for (int opens = 0; opens < 2; ++opens) {  // the second time there is nothing left to do
    auto store = SqliteStore::Open(directory.path());
    REQUIRE_MESSAGE(store.ok(), store.status().message());
    const auto runs = (*store)->ListRuns({});
    REQUIRE(runs.ok());
    REQUIRE(runs->size() == 1);
    CHECK(runs->front().flow_name == "build");
    CHECK((*store)->GetFlow("aa11")->source == "the source");
    CHECK((*store)->ListFlows({})->size() == static_cast<size_t>(opens));
    CHECK(
        (*store)
            ->Register(
                {"local", {"aa11", "build", "the source"}, "uid:1", "/", absl::FromUnixSeconds(1)})
            .ok());
  }
  auto db = Connection::Open(directory.path() + "/runs.db", Connection::Mode::kReadOnly, "");
  REQUIRE(db.ok());
  CHECK(*db->QueryInt("SELECT value FROM meta WHERE name = 'schema_version'") == kSchemaVersion);
}

TEST_CASE("a migration that fails leaves the store as it was") {
  TempDir directory;
  WriteSchema1(directory.path());
  {
    auto db = Connection::Open(directory.path() + "/runs.db", Connection::Mode::kReadWrite, "");
    REQUIRE(db->Execute("CREATE TABLE due_starts (in_the_way)").ok());
  }
  CHECK_FALSE(SqliteStore::Open(directory.path()).ok());
  auto db = Connection::Open(directory.path() + "/runs.db", Connection::Mode::kReadWrite, "");
  CHECK(*db->QueryInt("SELECT value FROM meta WHERE name = 'schema_version'") == 1);
  CHECK(*db->QueryInt("SELECT count(*) FROM sqlite_schema WHERE name = 'triggers'") == 0);
  REQUIRE(db->Execute("DROP TABLE due_starts").ok());
  CHECK(SqliteStore::Open(directory.path()).ok());
}

}  // namespace
}  // namespace beamline::store
