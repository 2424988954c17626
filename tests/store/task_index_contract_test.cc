// What every index of tasks must do: the same cases for the one on disk and the one in memory.
#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/store/stores.h"

namespace beamline::store {
namespace {

using ports::TaskState;

// A fact of run `n`, right after its start or the facts before.
template <typename Store>
void Tell(Store& store, uint64_t n, uint64_t seq, run::Fact fact) {
  ports::RunEvents events;
  events.id = MakeId(n);
  events.expected_seq = seq;
  events.events = {{seq + 1, absl::FromUnixSeconds(1'700'000'000), "uid:7", std::move(fact)}};
  const absl::Status status = store->Append({&events, 1});
  REQUIRE_MESSAGE(status.ok(), status.message());
}

run::TaskOpened Opened(uint64_t task, std::vector<std::string> approvers = {}) {
  return {.path = "review",
          .task = task,
          .max_rounds = 3,
          .title = absl::StrCat("Ship ", task, "?"),
          .approvers = std::move(approvers),
          .quorum = 2,
          .initiator = "uid:1000",
          .until = absl::FromUnixSeconds(1'700'003'600),
          .digest = "d1"};
}

template <typename Store>
void Ask(Store& store, uint64_t n, run::TaskOpened opened) {
  const ports::RunEvents start = Start(n);
  REQUIRE(store->Append({&start, 1}).ok());
  Tell(store, n, 1, std::move(opened));
}

template <typename Store>
std::string Names(Store& store, const ports::TaskQuery& query = {}) {
  auto rows = store->ListTasks(query);
  REQUIRE_MESSAGE(rows.ok(), rows.status().message());
  return absl::StrJoin(*rows, " ", [](std::string* out, const ports::TaskRow& row) {
    absl::StrAppend(out, "t", row.task);
  });
}

TEST_CASE_TEMPLATE("a task is in the inbox from its question to its answer", Store, InMemory,
                   OnDisk) {
  Store store;
  Ask(store, 1, Opened(4));
  auto row = store->GetTask("local", 4);
  REQUIRE(row.ok());
  CHECK(row->run == MakeId(1));
  CHECK(row->flow_name == "build");
  CHECK(row->path == "review");
  CHECK(row->title == "Ship 4?");
  CHECK(row->seq == 2);
  CHECK(row->quorum == 2);
  CHECK(row->max_rounds == 3);
  CHECK(row->until == absl::FromUnixSeconds(1'700'003'600));
  Tell(store, 1, 2,
       run::TaskDecided{"review", 4, 1, run::Verdict::kApprove, "", {}, "d1", "d2", 1, "ada"});
  CHECK(store->GetTask("local", 4)->approvals == 1);
  CHECK(store->GetTask("local", 4)->digest == "d2");
  CHECK(Names(store) == "t4");
  CHECK(*store->CountTasks("local") == 1);
  Tell(store, 1, 3, run::TaskClosed{"review", 4, run::TaskOutcome::kApproved, {}});
  CHECK(Names(store) == "");
  CHECK(*store->CountTasks("local") == 0);
  CHECK(store->GetTask("local", 4)->state == TaskState::kApproved);
  CHECK(absl::IsNotFound(store->GetTask("local", 5).status()));
  CHECK(absl::IsNotFound(store->GetTask("elsewhere", 4).status()));
}

TEST_CASE_TEMPLATE("while changes are made nobody is asked, then under the same number", Store,
                   InMemory, OnDisk) {
  Store store;
  Ask(store, 1, Opened(1));
  run::StepsRewound rewound{.path = "review", .steps = {"review"}, .tasks = {1}};
  Tell(store, 1, 2, rewound);
  CHECK(Names(store) == "");
  CHECK(*store->CountTasks("local") == 0);
  CHECK(store->GetTask("local", 1)->state == TaskState::kRevising);
  run::TaskOpened again = Opened(1);
  again.round = 2;
  Tell(store, 1, 3, again);
  CHECK(Names(store) == "t1");
  CHECK(*store->CountTasks("local") == 1);
  CHECK(store->GetTask("local", 1)->round == 2);
  CHECK(store->GetTask("local", 1)->seq == 4);
  CHECK(store->GetTask("local", 1)->approvals == 0);
}

TEST_CASE_TEMPLATE("lists come in pages, by whom is asked, without one's own runs", Store, InMemory,
                   OnDisk) {
  Store store;
  Ask(store, 1, Opened(1));
  Ask(store, 2, Opened(2, {"user:ada"}));
  Ask(store, 3, Opened(3, {"group:editors"}));
  Ask(store, 4, Opened(4, {"user:ada", "group:editors"}));
  run::TaskOpened own = Opened(5, {"user:ada"});
  own.initiator = "uid:1";
  Ask(store, 5, own);
  own.task = 6;
  own.self_approval = true;
  Ask(store, 6, own);
  CHECK(Names(store) == "t1 t2 t3 t4 t5 t6");
  CHECK(Names(store, {.limit = 2}) == "t1 t2");
  CHECK(Names(store, {.after = 2, .limit = 2}) == "t3 t4");
  CHECK(Names(store, {.voters = {"user:ada", "user:uid:1"}}) == "t1 t2 t4 t6");
  CHECK(Names(store, {.voters = {"user:bob", "group:editors"}}) == "t1 t3 t4");
  CHECK(Names(store, {.voters = {"user:ada", "group:editors"}, .after = 2, .limit = 2}) == "t3 t4");
  CHECK(Names(store, {.tenant = "elsewhere"}) == "");
}

TEST_CASE_TEMPLATE("votes that are handed on, and tasks that escalate, reach other people", Store,
                   InMemory, OnDisk) {
  Store store;
  Ask(store, 1, Opened(1, {"user:ada"}));
  const ports::TaskQuery bob{.voters = {"user:bob"}}, lead{.voters = {"group:leads"}};
  CHECK(Names(store, bob) == "");
  Tell(store, 1, 2, run::TaskDelegated{"review", 1, "ada", "user:bob"});
  CHECK(Names(store, bob) == "t1");
  Tell(store, 1, 3,
       run::TaskEscalated{"review", 1, absl::FromUnixSeconds(1'700'007'200), {"group:leads"}});
  CHECK(Names(store, lead) == "t1");
  CHECK(store->GetTask("local", 1)->escalated);
  CHECK(store->GetTask("local", 1)->until == absl::FromUnixSeconds(1'700'007'200));
  Tell(store, 1, 4, run::TaskClosed{"review", 1, run::TaskOutcome::kExpired, {}});
  CHECK(Names(store, lead) == "");
}

TEST_CASE_TEMPLATE("who has handed a vote on is not asked, in any round, until it comes back",
                   Store, InMemory, OnDisk) {
  Store store;
  Ask(store, 1, Opened(1, {"user:ada", "group:editors"}));
  Ask(store, 2, Opened(2));
  const ports::TaskQuery ada{.voters = {"user:ada", "group:editors"}}, bob{.voters = {"user:bob"}},
      eve{.voters = {"user:eve", "group:editors"}};
  Tell(store, 1, 2, run::TaskDelegated{"review", 1, "ada", "user:bob"});
  CHECK(Names(store, ada) == "t2");
  CHECK(Names(store, bob) == "t1 t2");
  CHECK(Names(store, eve) == "t1 t2");

  run::StepsRewound rewound{.path = "review", .steps = {"review"}, .tasks = {1}};
  Tell(store, 1, 3, rewound);
  CHECK(Names(store, bob) == "t2");
  run::TaskOpened again = Opened(1, {"user:ada", "group:editors"});
  again.round = 2;
  Tell(store, 1, 4, again);
  CHECK(Names(store, ada) == "t2");
  CHECK(Names(store, bob) == "t1 t2");

  Tell(store, 1, 5, run::TaskDelegated{"review", 1, "bob", "user:ada"});
  CHECK(Names(store, ada) == "t1 t2");
  CHECK(Names(store, bob) == "t2");
  Tell(store, 1, 6, run::TaskClosed{"review", 1, run::TaskOutcome::kApproved, {}});
  CHECK(Names(store, ada) == "t2");
  CHECK(Names(store, bob) == "t2");
}

TEST_CASE_TEMPLATE("a number is never given twice, and goes with its run", Store, InMemory,
                   OnDisk) {
  Store store;
  CHECK(*store->LastTask() == 0);
  Ask(store, 1, Opened(7));
  CHECK(*store->LastTask() == 7);
  Tell(store, 1, 2, run::TaskClosed{"review", 7, run::TaskOutcome::kCancelled, {}});
  const ports::RunEvents finish = Finish(1, 3);
  REQUIRE(store->Append({&finish, 1}).ok());
  REQUIRE(store->DeleteRun(MakeId(1)).ok());
  CHECK(absl::IsNotFound(store->GetTask("local", 7).status()));
  CHECK(*store->LastTask() == 7);
}

TEST_CASE("the inbox is as it was after a restart") {
  OnDisk store;
  Ask(store, 1, Opened(3, {"user:ada"}));
  store.Open();
  CHECK(Names(store, {.voters = {"user:ada"}}) == "t3");
  CHECK(*store->LastTask() == 3);
}

}  // namespace
}  // namespace beamline::store
