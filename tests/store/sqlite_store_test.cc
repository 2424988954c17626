// What only a store on disk can do: last, be damaged, be full, be somebody else's.
#include "daemon/store/sqlite_store.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runs.h"

namespace beamline::store {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();

std::unique_ptr<SqliteStore> MustOpen(const std::string& directory) {
  auto store = SqliteStore::Open(directory);
  REQUIRE_MESSAGE(store.ok(), store.status().message());
  return *std::move(store);
}

// Changes the database behind the store's back.
void Execute(const std::string& directory, const std::string& sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open((directory + "/runs.db").c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

absl::Status OpenStatus(const std::string& directory) {
  return SqliteStore::Open(directory).status();
}

bool Says(const absl::Status& status, const std::string& what) {
  return absl::StrContains(std::string(status.message()), what);
}

TEST_CASE("a store keeps what it has when it is opened again") {
  TempDir directory;
  const std::string place = directory.path() + "/a/b";  // made where missing
  for (uint64_t session = 0; session < 3; ++session) {
    auto store = MustOpen(place);
    if (session == 0) REQUIRE(store->Append({Start(1)}).ok());
    REQUIRE(store->Append({Progress(1, 1 + 2 * session)}).ok());
    CHECK(store->GetRun(MakeId(1))->last_seq == 3 + 2 * session);
    for (const char* name : {"/runs.db", "/runs.db-wal"}) {
      struct stat info;
      REQUIRE(stat((place + name).c_str(), &info) == 0);
      CHECK((info.st_mode & 0777) == 0600);
    }
  }
  struct stat st;
  REQUIRE(stat(place.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0700);
}

TEST_CASE("one process at a time") {
  TempDir directory;
  auto store = MustOpen(directory.path());
  absl::Status second = OpenStatus(directory.path());
  CHECK(absl::IsFailedPrecondition(second));
  CHECK(Says(second, "another beamlined uses"));
  store.reset();
  MustOpen(directory.path());
}

TEST_CASE("what is not a store of ours is refused and left alone") {
  TempDir directory;
  const std::string path = directory.path() + "/runs.db";
  SUBCASE("not a database") {
    std::ofstream(path) << std::string(10'000, 'x');
    absl::Status status = OpenStatus(directory.path());
    CHECK(absl::IsDataLoss(status));
    CHECK(Says(status, path));
    CHECK(Says(status, "not a database"));
  }
  SUBCASE("another program's database") {
    Execute(directory.path(), "CREATE TABLE bookmarks (url TEXT)");
    absl::Status status = OpenStatus(directory.path());
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(Says(status, "belongs to another program"));
  }
  SUBCASE("a newer release's store") {
    MustOpen(directory.path());
    Execute(directory.path(), "UPDATE meta SET value = 99");
    absl::Status status = OpenStatus(directory.path());
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(Says(status, "newer release (schema 99"));
  }
  SUBCASE("a truncated one") {
    auto store = MustOpen(directory.path());
    for (int n = 0; n < 100; ++n) REQUIRE(store->Append({Start(n)}).ok());
    store.reset();
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4096);
    absl::Status status = OpenStatus(directory.path());
    CHECK(absl::IsDataLoss(status));
    CHECK(Says(status, "the database is damaged"));
  }
}

TEST_CASE("a directory that cannot be used is named") {
  TempDir directory;
  std::ofstream(directory.path() + "/file") << "x";
  absl::Status status = OpenStatus(directory.path() + "/file");
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(Says(status, directory.path() + "/file"));
  const bool root = geteuid() == 0;  // who may write anywhere, so try as somebody else
  if (root) {
    REQUIRE(seteuid(65534) == 0);
  } else {
    REQUIRE(chmod(directory.path().c_str(), 0500) == 0);
  }
  status = OpenStatus(directory.path());
  if (root) REQUIRE(seteuid(0) == 0);
  CHECK(absl::IsPermissionDenied(status));
  CHECK(Says(status, directory.path()));
}

TEST_CASE("damage stops the one run that has it, with its place, and is not repaired") {
  TempDir directory;
  {
    auto store = MustOpen(directory.path());
    REQUIRE(store->Append({Start(1), Start(2), Start(3)}).ok());
    REQUIRE(store->Append({Progress(1, 1), Progress(2, 1), Progress(3, 1)}).ok());
    REQUIRE(store->Append({Progress(2, 3)}).ok());
  }
  std::string says;
  SUBCASE("a changed byte") {
    Execute(directory.path(),
            "UPDATE log SET events = cast(substr(events, 1, 20) || x'00' || substr(events, 22) AS "
            "BLOB) WHERE run_no = 2 AND seq = 2");
    says = "event 2: wrong checksum";
  }
  SUBCASE("a row that is missing") {
    Execute(directory.path(), "DELETE FROM log WHERE run_no = 2 AND seq = 2");
    says = "event 2: the next one stored is 4";
  }
  SUBCASE("a row of another run") {
    Execute(directory.path(),
            "UPDATE log SET events = (SELECT events FROM log WHERE run_no = 1 AND seq = 2), crc = "
            "(SELECT crc FROM log WHERE run_no = 1 AND seq = 2) WHERE run_no = 2 AND seq = 2");
    says = "event 2: wrong checksum";
  }
  SUBCASE("no row at all") {
    Execute(directory.path(), "DELETE FROM log WHERE run_no = 2");
    says = "event 1: it ends there and should reach 1";
  }
  for (int attempt = 0; attempt < 2; ++attempt) {  // the second after another start
    auto store = MustOpen(directory.path());
    absl::Status status = store->Read(MakeId(2), 0, kAll).status();
    CHECK(absl::IsDataLoss(status));
    CHECK_MESSAGE(Says(status, says), status.message());
    CHECK(Says(status, MakeId(2).ToString()));
    std::vector<bool> fine;
    REQUIRE(store
                ->ReadUnfinished(
                    [&](const ports::RunRow&, const auto& events) { fine.push_back(events.ok()); })
                .ok());
    CHECK(fine == std::vector<bool>{true, false, true});
  }
}

TEST_CASE("a finished run's lost end is noticed") {
  TempDir directory;
  REQUIRE(MustOpen(directory.path())->Append({Start(1), Progress(1, 1), Finish(1, 3)}).ok());
  Execute(directory.path(), "DELETE FROM log WHERE seq = 4");
  absl::Status status = MustOpen(directory.path())->Read(MakeId(1), 0, kAll).status();
  CHECK(absl::IsDataLoss(status));
  CHECK(Says(status, "event 4: it ends there and should reach 4"));
}

TEST_CASE("the write-ahead log stays short under load and beside a reader") {
  TempDir directory(TempDir::kInMemory);
  auto store = MustOpen(directory.path());
  REQUIRE(store->Append({Start(1)}).ok());
  uint64_t seq = 1, wal_bytes = 0;
  for (int i = 0; i < 6'000; ++i, seq += 2) {
    REQUIRE(store->Append({Progress(1, seq, 3'000)}).ok());
    if (i % 100 == 0) {
      REQUIRE(store->Read(MakeId(1), seq, 1).ok());
      wal_bytes = std::max<uint64_t>(wal_bytes,
                                     std::filesystem::file_size(directory.path() + "/runs.db-wal"));
    }
  }
  CHECK(wal_bytes > 3 << 20);  // the log was long enough for the test to mean something
  CHECK(wal_bytes < 8 << 20);
}

// A file system of `bytes` at `path`, for as long as it lives; not ok() where that is not allowed.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, int bytes) : path_(path) {
    ok_ = mount("tmpfs", path.c_str(), "tmpfs", 0, absl::StrCat("size=", bytes).c_str()) == 0;
  }
  ~SmallDisk() {
    if (ok_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool ok() const { return ok_; }

 private:
  std::string path_;
  bool ok_;
};

TEST_CASE("a disk that really is full: appending ends, and goes on after a restart with room") {
  TempDir directory;
  SmallDisk disk(directory.path(), 2 << 20);
  if (!disk.ok()) {
    MESSAGE("SKIPPED: cannot mount a tmpfs here (" << strerror(errno) << ")");
    return;
  }
  const std::string ballast = directory.path() + "/ballast";
  std::ofstream(ballast) << std::string(1 << 20, 'x');
  uint64_t acknowledged = 1;
  {
    auto store = MustOpen(directory.path() + "/store");
    REQUIRE(store->Append({Start(1)}).ok());
    absl::Status status;
    while (true) {
      status = store->Append({Progress(1, acknowledged, 2'000)});
      if (!status.ok()) break;
      acknowledged += 2;
      REQUIRE(acknowledged < 10'000);
    }
    CHECK(absl::IsResourceExhausted(status));
    CHECK(Says(status, "disk is full"));
    CHECK(store->Read(MakeId(1), 0, kAll)->size() == acknowledged);
    std::filesystem::remove(ballast);
    CHECK(absl::IsResourceExhausted(store->Append({Progress(1, acknowledged)})));
  }
  CHECK(acknowledged > 50);
  auto store = MustOpen(directory.path() + "/store");
  CHECK(store->Read(MakeId(1), 0, kAll)->size() == acknowledged);
  CHECK(store->Append({Progress(1, acknowledged)}).ok());
}

}  // namespace
}  // namespace beamline::store
