// What every log must do for those who follow it: the same cases on disk and in memory.
#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "tests/store/stores.h"

namespace beamline::store {
namespace {

template <typename Store>
void MustAppend(Store& store, const ports::RunEvents& events) {
  const absl::Status status = store->Append({&events, 1});
  REQUIRE_MESSAGE(status.ok(), status.message());
}

// "<last digit of the run>: <its events>; …" behind `position`, which moves along.
template <typename Store>
std::string Follow(Store& store, uint64_t* position, int entries_max = 100) {
  const auto entries = store->ReadLog(*position, entries_max, 1 << 20);
  REQUIRE_MESSAGE(entries.ok(), entries.status().message());
  std::string text;
  for (const auto& entry : *entries) {
    CHECK(entry.position > *position);
    *position = entry.position;
    REQUIRE(entry.events.ok());
    absl::StrAppend(&text, entry.run.ToString().substr(25), ": ", Outline(*entry.events), "; ");
  }
  return text;
}

TEST_CASE_TEMPLATE("a follower sees the events of all runs in the order of their decisions", Store,
                   InMemory, OnDisk) {
  Store store;
  CHECK(*store->LogEnd() == 0);
  MustAppend(store, Start(1));
  MustAppend(store, Start(2));
  MustAppend(store, Finish(1, 1));
  uint64_t position = 0;
  CHECK(Follow(store, &position, 2) == "1: 1:RunStarted; 2: 1:RunStarted; ");
  CHECK(Follow(store, &position, 2) == "1: 2:RunFinished; ");
  CHECK(Follow(store, &position) == "");
  CHECK(*store->LogEnd() == position);
  MustAppend(store, Progress(2, 1));
  CHECK(Follow(store, &position) == "2: 2:AttemptFinished 3:AttemptStarted; ");
  CHECK(store->ReadLog(0, 100, 1)->size() == 1);  // at least one, however few bytes are wanted
}

TEST_CASE_TEMPLATE("deleting the newest run hides nothing that comes after it", Store, InMemory,
                   OnDisk) {
  Store store;
  MustAppend(store, Start(1));
  for (uint64_t n = 2; n < 5; ++n) {  // again and again, also when the mark is what is last
    MustAppend(store, Start(n));
    MustAppend(store, Finish(n, 1));
    uint64_t position = *store->LogEnd();
    REQUIRE(store->DeleteRun(MakeId(n)).ok());
    CHECK(*store->LogEnd() == position);
    CHECK(Follow(store, &position) == "");
    MustAppend(store, Progress(1, 2 * n - 3));
    CHECK(Follow(store, &position) ==
          absl::StrCat("1: ", 2 * n - 2, ":AttemptFinished ", 2 * n - 1, ":AttemptStarted; "));
  }
  uint64_t position = 0;
  CHECK(Follow(store, &position, 1) == "1: 1:RunStarted; ");
}

TEST_CASE_TEMPLATE("cursors are kept by name", Store, InMemory, OnDisk) {
  Store store;
  CHECK(store->Cursors()->empty());
  REQUIRE(store->MoveCursor("notify/chat", 7).ok());
  REQUIRE(store->MoveCursor("notify/mail", 3).ok());
  REQUIRE(store->MoveCursor("notify/chat", 9).ok());
  CHECK(*store->Cursors() ==
        std::map<std::string, uint64_t>{{"notify/chat", 9}, {"notify/mail", 3}});
  REQUIRE(store->DropCursor("notify/mail").ok());
  REQUIRE(store->DropCursor("notify/none").ok());
  CHECK(*store->Cursors() == std::map<std::string, uint64_t>{{"notify/chat", 9}});
}

TEST_CASE("cursors outlive the process; a damaged entry does not hide the others") {
  OnDisk store;
  MustAppend(store, Start(1));
  MustAppend(store, Start(2));
  REQUIRE(store->MoveCursor("notify/chat", 2).ok());
  store.store.reset();
  {
    auto db =
        Connection::Open(store.directory.path() + "/runs.db", Connection::Mode::kReadWrite, "");
    REQUIRE(db->Execute("UPDATE log SET crc = crc + 1 WHERE pos = 1").ok());
  }
  store.Open();
  CHECK(store->Cursors()->at("notify/chat") == 2);
  const auto entries = store->ReadLog(0, 10, 1 << 20);
  REQUIRE(entries.ok());
  REQUIRE(entries->size() == 2);
  CHECK(absl::IsDataLoss((*entries)[0].events.status()));
  CHECK((*entries)[1].events.ok());
}

}  // namespace
}  // namespace beamline::store
