// What every event store must do: the same cases for the one on disk and the one in memory.
#include <doctest/doctest.h>

#include <limits>

#include "daemon/store/memory_store.h"
#include "daemon/store/sqlite_store.h"
#include "runs.h"

namespace beamline::store {
namespace {

using ports::RunStatus;

constexpr size_t kAll = std::numeric_limits<size_t>::max();

struct InMemory {
  MemoryStore store;
  ports::EventStore* operator->() { return &store; }
};

struct OnDisk {
  TempDir directory;
  std::unique_ptr<SqliteStore> store;
  OnDisk() {
    auto opened = SqliteStore::Open(directory.path());
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    store = *std::move(opened);
  }
  ports::EventStore* operator->() { return store.get(); }
};

template <typename Store>
absl::Status Append(Store& store, const ports::RunEvents& events) {
  return store->Append({&events, 1});
}

template <typename Store>
void MustAppend(Store& store, const ports::RunEvents& events) {
  absl::Status status = Append(store, events);
  REQUIRE_MESSAGE(status.ok(), status.message());
}

template <typename Store>
std::vector<run::RunId> Ids(Store& store, const ports::RunQuery& query) {
  auto rows = store->ListRuns(query);
  REQUIRE_MESSAGE(rows.ok(), rows.status().message());
  std::vector<run::RunId> ids;
  for (const ports::RunRow& row : *rows) ids.push_back(row.id);
  return ids;
}

TEST_CASE_TEMPLATE("a history is read back as it was appended", Store, InMemory, OnDisk) {
  Store store;
  MustAppend(store, Start(1));
  MustAppend(store, Progress(1, 1));
  MustAppend(store, Finish(1, 3));
  auto events = store->Read(MakeId(1), 0, kAll);
  REQUIRE(events.ok());
  CHECK(Outline(*events) == "1:RunStarted 2:AttemptFinished 3:AttemptStarted 4:RunFinished");
  CHECK((*events)[0].actor == "uid:1000");
  CHECK((*events)[0].time == Start(1).events[0].time);
  CHECK(std::get<run::AttemptFinished>((*events)[1].fact).output ==
        std::get<run::AttemptFinished>(Progress(1, 1).events[0].fact).output);
}

TEST_CASE_TEMPLATE("reading goes on from any event, in pages of whole decisions", Store, InMemory,
                   OnDisk) {
  Store store;
  MustAppend(store, Start(1));
  MustAppend(store, Progress(1, 1));
  MustAppend(store, Progress(1, 3));
  auto outline = [&](uint64_t after, size_t bytes_max) {
    return Outline(store->Read(MakeId(1), after, bytes_max).value());
  };
  CHECK(outline(1, 1) == "2:AttemptFinished 3:AttemptStarted");
  CHECK(outline(2, 1) == "3:AttemptStarted");  // from the middle of a decision
  CHECK(outline(2, kAll) == "3:AttemptStarted 4:AttemptFinished 5:AttemptStarted");
  CHECK(outline(5, kAll) == "");
  CHECK(outline(99, kAll) == "");
  CHECK(outline(std::numeric_limits<uint64_t>::max(), kAll) == "");
  CHECK(absl::IsNotFound(store->Read(MakeId(2), 0, kAll).status()));
}

TEST_CASE_TEMPLATE("an append that expects another event is refused and leaves nothing", Store,
                   InMemory, OnDisk) {
  Store store;
  MustAppend(store, Start(1));
  MustAppend(store, Progress(1, 1));

  CHECK(absl::IsAborted(Append(store, Progress(1, 1))));
  CHECK(absl::IsAborted(Append(store, Progress(1, 4))));
  CHECK(absl::IsAborted(Append(store, Start(1))));
  CHECK(absl::IsAborted(Append(store, Progress(7, 1))));
  CHECK(store->GetRun(MakeId(1))->last_seq == 3);

  SUBCASE("also what the rest of its batch would have done") {
    CHECK(absl::IsAborted(store->Append({Start(2), Progress(1, 3), Progress(1, 4)})));
    CHECK(absl::IsNotFound(store->GetRun(MakeId(2)).status()));
    CHECK(store->GetRun(MakeId(1))->last_seq == 3);
    MustAppend(store, Start(2));
  }
  MustAppend(store, Progress(1, 3));  // and the store goes on
}

TEST_CASE_TEMPLATE("a batch may hold several decisions of one run", Store, InMemory, OnDisk) {
  Store store;
  REQUIRE(store->Append({Start(1), Progress(1, 1), Start(2), Progress(1, 3), Finish(1, 5)}).ok());
  CHECK(store->GetRun(MakeId(1))->last_seq == 6);
  CHECK(store->GetRun(MakeId(2))->last_seq == 1);
  CHECK(store->Append({}).ok());
}

TEST_CASE_TEMPLATE("a malformed batch is an invalid argument", Store, InMemory, OnDisk) {
  Store store;
  ports::RunEvents gap = Start(1);
  gap.events.push_back(gap.events[0]);  // the second event is numbered 1, too
  CHECK(absl::IsInvalidArgument(Append(store, gap)));
  ports::RunEvents no_row = Start(1);
  no_row.row.reset();
  CHECK(absl::IsInvalidArgument(Append(store, no_row)));
  ports::RunEvents nothing = Start(1);
  nothing.events.clear();
  CHECK(absl::IsInvalidArgument(Append(store, nothing)));
  MustAppend(store, Start(1));
}

TEST_CASE_TEMPLATE("the row follows the run", Store, InMemory, OnDisk) {
  Store store;
  ports::RunEvents start = Start(1);
  start.row->labels = {{"team", "a&b=c%26"}, {"env", ""}};
  MustAppend(store, start);
  auto row = store->GetRun(MakeId(1));
  REQUIRE(row.ok());
  CHECK(row->tenant == "local");
  CHECK(row->project == "default");
  CHECK(row->flow_name == "build");
  CHECK(row->flow_digest == "digest-of-build");
  CHECK(row->status == RunStatus::kRunning);
  CHECK(row->labels == start.row->labels);
  CHECK(row->actor == "uid:1000");
  CHECK(row->started_at == start.row->started_at);
  CHECK(row->finished_at == absl::InfinitePast());
  CHECK(row->last_seq == 1);

  MustAppend(store, Progress(1, 1));
  CHECK(store->GetRun(MakeId(1))->last_seq == 3);

  MustAppend(store, Finish(1, 3, RunStatus::kFailed));
  row = store->GetRun(MakeId(1));
  CHECK(row->status == RunStatus::kFailed);
  CHECK(row->error == "exit status 1");
  CHECK(row->finished_at == Finish(1, 3).row->finished_at);
  CHECK(row->flow_name == "build");
  CHECK(row->labels == start.row->labels);
}

TEST_CASE_TEMPLATE("runs are listed newest first and filtered", Store, InMemory, OnDisk) {
  Store store;
  for (uint64_t n = 1; n <= 6; ++n) {
    ports::RunEvents start = Start(n);
    if (n == 2) start.row->tenant = "other";
    if (n == 3) start.row->flow_name = "deploy";
    if (n >= 4) start.row->labels.emplace_back("env", n == 4 ? "production" : "prod");
    MustAppend(store, start);
  }
  MustAppend(store, Finish(5, 1));
  MustAppend(store, Finish(6, 1, RunStatus::kFailed));

  auto ids = [](const std::vector<uint64_t>& numbers) {
    std::vector<run::RunId> made;
    for (uint64_t n : numbers) made.push_back(MakeId(n));
    return made;
  };
  ports::RunQuery query;
  CHECK(Ids(store, query) == ids({6, 5, 4, 3, 1}));
  query.limit = 2;
  CHECK(Ids(store, query) == ids({6, 5}));
  query.before = MakeId(5);
  CHECK(Ids(store, query) == ids({4, 3}));
  query = {};
  query.statuses = {RunStatus::kRunning, RunStatus::kWaiting};
  CHECK(Ids(store, query) == ids({4, 3, 1}));
  query.statuses = {RunStatus::kRunning, RunStatus::kFailed};
  CHECK(Ids(store, query) == ids({6, 4, 3, 1}));
  query = {};
  query.labels = {{"env", "prod"}};
  CHECK(Ids(store, query) == ids({6, 5}));
  query.labels = {{"env", "prod"}, {"n", "6"}};
  CHECK(Ids(store, query) == ids({6}));
  query = {};
  query.flow_name = "deploy";
  CHECK(Ids(store, query) == ids({3}));
  query = {};
  query.since = Start(4).row->started_at;
  CHECK(Ids(store, query) == ids({6, 5, 4}));
  query = {};
  query.tenant = "other";
  CHECK(Ids(store, query) == ids({2}));
}

TEST_CASE_TEMPLATE("a run is found by either end of its id", Store, InMemory, OnDisk) {
  Store store;
  for (uint64_t n = 1; n <= 20; ++n) MustAppend(store, Start(n));
  const std::string id = MakeId(7).ToString();
  CHECK(store->FindRuns("local", id).value() == std::vector{MakeId(7)});
  CHECK(store->FindRuns("local", id.substr(20)).value() == std::vector{MakeId(7)});
  CHECK(store->FindRuns("local", id.substr(0, 4)).value().size() == 10);
  CHECK(store->FindRuns("local", id.substr(0, 4)).value()[0] == MakeId(20));
  CHECK(store->FindRuns("local", "zzzzzz").value().empty());
  CHECK(store->FindRuns("other", id).value().empty());
}

TEST_CASE_TEMPLATE("a request id leads to one run", Store, InMemory, OnDisk) {
  Store store;
  MustAppend(store, Start(1, "req-1"));
  auto request = store->FindRequest("local", "req-1");
  REQUIRE(request.ok());
  REQUIRE(request->has_value());
  CHECK((*request)->id == MakeId(1));
  CHECK((*request)->hash == "hash-of-req-1");
  CHECK_FALSE(store->FindRequest("other", "req-1")->has_value());
  CHECK_FALSE(store->FindRequest("local", "")->has_value());

  CHECK(absl::IsAborted(Append(store, Start(2, "req-1"))));
  CHECK(absl::IsAborted(store->Append({Start(2, "req-2"), Start(3, "req-2")})));
  MustAppend(store, Start(2));
  MustAppend(store, Start(3));  // no request id is not the same request id

  ports::RunEvents elsewhere = Start(4, "req-1");
  elsewhere.row->tenant = "other";
  MustAppend(store, elsewhere);
}

TEST_CASE_TEMPLATE("a flow is kept once per digest", Store, InMemory, OnDisk) {
  Store store;
  MustAppend(store, Start(1));
  ports::RunEvents again = Start(2);
  again.flows[0].source = "not looked at: the digest is there";
  MustAppend(store, again);
  auto flow = store->GetFlow("digest-of-build");
  REQUIRE(flow.ok());
  CHECK(flow->name == "build");
  CHECK(flow->source == "flow: build\n");
  CHECK(absl::IsNotFound(store->GetFlow("unknown").status()));
}

TEST_CASE_TEMPLATE("a flow of a refused batch is not taken for stored", Store, InMemory, OnDisk) {
  Store store;
  CHECK(absl::IsAborted(store->Append({Start(1), Progress(1, 9)})));
  CHECK(absl::IsNotFound(store->GetFlow("digest-of-build").status()));
  MustAppend(store, Start(1));
  CHECK(store->GetFlow("digest-of-build").ok());
}

TEST_CASE_TEMPLATE("recovery sees every unfinished run with its whole history", Store, InMemory,
                   OnDisk) {
  Store store;
  MustAppend(store, Start(3));
  for (uint64_t n : {1, 2}) {
    MustAppend(store, Start(n));
    MustAppend(store, Progress(n, 1));
  }
  MustAppend(store, Finish(2, 3));
  std::string seen;
  REQUIRE(store
              ->ReadUnfinished([&](const ports::RunRow& row, auto events) {
                REQUIRE(events.ok());
                CHECK(row.last_seq == events->back().seq);
                CHECK(store->GetFlow(row.flow_digest).ok());  // the store may be used meanwhile
                seen += row.labels[0].second + "{" + Outline(*events) + "} ";
              })
              .ok());
  CHECK(seen == "1{1:RunStarted 2:AttemptFinished 3:AttemptStarted} 3{1:RunStarted} ");
}

TEST_CASE_TEMPLATE("a finished run can be deleted, with its request id", Store, InMemory, OnDisk) {
  Store store;
  MustAppend(store, Start(1, "req-1"));
  MustAppend(store, Start(2));
  CHECK(absl::IsFailedPrecondition(store->DeleteRun(MakeId(1))));
  MustAppend(store, Finish(1, 1));
  REQUIRE(store->DeleteRun(MakeId(1)).ok());
  CHECK(absl::IsNotFound(store->DeleteRun(MakeId(1))));
  CHECK(absl::IsNotFound(store->GetRun(MakeId(1)).status()));
  CHECK(absl::IsNotFound(store->Read(MakeId(1), 0, kAll).status()));
  CHECK_FALSE(store->FindRequest("local", "req-1")->has_value());
  MustAppend(store, Start(1, "req-1"));
  CHECK(Outline(store->Read(MakeId(1), 0, kAll).value()) == "1:RunStarted");
  CHECK(store->Checkpoint().ok());
}

// A letter of run `n`.
run::DeadLetterChange Letter(const std::string& path, bool parked = false) {
  run::DeadLetter letter{
      .path = path, .kind = "run", .parked = parked, .reason = "failed for good"};
  letter.error = {parked ? "unknown" : "exit", "it broke", 7};
  letter.attempts = 3;
  letter.at = absl::FromUnixSeconds(1'700'000'000);
  return {path, letter};
}

template <typename Store>
std::vector<std::string> Paths(Store& store, const ports::DeadLetterQuery& query = {}) {
  std::vector<std::string> paths;
  const auto rows = store->ListDeadLetters(query);
  for (const ports::DeadLetterRow& row : *rows) {
    paths.push_back(row.letter.path);
  }
  return paths;
}

TEST_CASE_TEMPLATE("dead letters come and go with the events that say so", Store, InMemory,
                   OnDisk) {
  using Paths_ = std::vector<std::string>;
  Store store;
  MustAppend(store, Start(1));
  MustAppend(store, Start(2));
  ports::RunEvents events = Progress(1, 1);
  events.dead_letters = {Letter("build"), Letter("each[3]", true), Letter("each[3]/load"),
                         Letter("eachother")};
  MustAppend(store, events);
  events = Progress(2, 1);
  events.dead_letters = {Letter("pay", true)};
  MustAppend(store, events);

  CHECK(Paths(store) == Paths_{"pay", "eachother", "each[3]/load", "each[3]", "build"});
  CHECK(Paths(store, {.run = MakeId(2)}) == Paths_{"pay"});
  CHECK(Paths(store, {.parked = true}) == Paths_{"pay", "each[3]"});
  CHECK(Paths(store, {.error_kind = "unknown"}) == Paths_{"pay", "each[3]"});
  CHECK(Paths(store, {.flow_name = "another"}).empty());
  CHECK(Paths(store, {.tenant = "another"}).empty());
  CHECK(*store->CountDeadLetters("local", 100) == 5);
  CHECK(*store->CountDeadLetters("local", 3) == 3);
  CHECK(*store->CountDeadLetters("another", 100) == 0);

  // Page by page.
  auto first = store->ListDeadLetters({.limit = 2});
  REQUIRE(first.ok());
  CHECK(Paths(store, {.before = first->back().number, .limit = 2}) ==
        Paths_{"each[3]/load", "each[3]"});
  auto one = store->GetDeadLetter("local", first->front().number);
  REQUIRE(one.ok());
  CHECK(one->run == MakeId(2));
  CHECK(one->letter.error.exit_code == 7);
  CHECK(one->letter.attempts == 3);
  CHECK(absl::IsNotFound(store->GetDeadLetter("another", first->front().number).status()));

  // A number is never used again; what is below a step goes with it.
  events = Progress(1, 3);
  events.dead_letters = {{"build", std::nullopt}, {"each", std::nullopt, true}, Letter("build")};
  MustAppend(store, events);
  CHECK(Paths(store) == Paths_{"build", "pay", "eachother"});
  CHECK(store->ListDeadLetters({})->front().number > first->front().number);

  MustAppend(store, Finish(1, 5));
  REQUIRE(store->DeleteRun(MakeId(1)).ok());
  CHECK(Paths(store) == Paths_{"pay"});
}

TEST_CASE_TEMPLATE("a finished run that goes on is unfinished again", Store, InMemory, OnDisk) {
  Store store;
  MustAppend(store, Start(1));
  MustAppend(store, Finish(1, 1, RunStatus::kFailed));
  ports::RunEvents events = Progress(1, 2);
  events.row = store->GetRun(MakeId(1)).value();
  events.row->status = RunStatus::kRunning;
  MustAppend(store, events);
  CHECK(store->GetRun(MakeId(1))->finished_at == absl::InfinitePast());
  int unfinished = 0;
  REQUIRE(store
              ->ReadUnfinished([&](const ports::RunRow&, auto read) {
                ++unfinished;
                CHECK(read->size() == 4);
              })
              .ok());
  CHECK(unfinished == 1);
  MustAppend(store, Finish(1, 4));
  CHECK(store->GetRun(MakeId(1))->status == RunStatus::kSucceeded);
}

}  // namespace
}  // namespace beamline::store
