// What every flow registry must do: the same cases for the one on disk and the one in memory.
#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "tests/store/stores.h"

namespace beamline::store {
namespace {

using ports::FlowVersion;
using ports::TriggerRow;
using ports::TriggerSpec;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1'800'000'000 + seconds); }

ports::Registration Flow(const std::string& name, const std::string& digest, int64_t at,
                         std::vector<TriggerSpec> triggers = {},
                         const std::string& request_id = "") {
  return {"local",    {digest, name, "source of " + digest},
          "uid:1000", "/work",
          At(at),     std::move(triggers),
          request_id};
}

TriggerSpec Cron(const std::string& fields, int32_t index = 0) {
  return {"cron " + fields + " UTC", index, "cron", fields};
}

TriggerSpec After(const std::string& flow, const std::string& when = "success") {
  TriggerSpec spec{"flow " + flow + " " + when, 0, "flow", flow};
  spec.run_when = when;
  return spec;
}

template <typename Store>
FlowVersion MustRegister(Store& store, const ports::Registration& registration) {
  auto registered = store->Register(registration);
  REQUIRE_MESSAGE(registered.ok(), registered.status().message());
  return registered->version;
}

template <typename Store>
std::vector<TriggerRow> Triggers(Store& store, const std::string& name = "") {
  auto rows = store->ListTriggers("local", name);
  REQUIRE_MESSAGE(rows.ok(), rows.status().message());
  return *rows;
}

std::string Outline(const std::vector<FlowVersion>& versions) {
  std::string outline;
  for (const FlowVersion& version : versions) {
    absl::StrAppend(&outline, outline.empty() ? "" : " ", version.name, ":", version.version, "=",
                    version.digest);
  }
  return outline;
}

TEST_CASE_TEMPLATE("the newest registration is what the name means; all of them are its history",
                   Store, InMemory, OnDisk) {
  Store store;
  CHECK(absl::IsNotFound(store->CurrentFlow("local", "build").status()));
  const FlowVersion first = MustRegister(store, Flow("build", "aa11", 1));
  CHECK(first.version == 1);
  CHECK(MustRegister(store, Flow("build", "bb22", 2)).version == 2);
  CHECK(MustRegister(store, Flow("build", "aa11", 3)).version == 3);  // back again: a new fact

  const auto current = store->CurrentFlow("local", "build");
  REQUIRE(current.ok());
  CHECK(current->version == 3);
  CHECK(current->actor == "uid:1000");
  CHECK(current->workspace == "/work");
  CHECK(current->at == At(3));
  CHECK(Outline(*store->FlowHistory("local", "build", 0, 10)) ==
        "build:3=aa11 build:2=bb22 build:1=aa11");
  CHECK(Outline(*store->FlowHistory("local", "build", 3, 1)) == "build:2=bb22");
  CHECK(store->GetFlow("bb22")->source == "source of bb22");
  CHECK(absl::IsNotFound(store->CurrentFlow("other", "build").status()));
}

TEST_CASE_TEMPLATE("the parts of what is registered are kept with it", Store, InMemory, OnDisk) {
  Store store;
  ports::Registration registration = Flow("build", "aa11", 1);
  registration.parts = {{"bb22", "build", "the flow"}, {"cc33", "lib/a.flow.yaml", "a file"}};
  MustRegister(store, registration);
  CHECK(store->GetFlow("aa11")->source == "source of aa11");
  CHECK(store->GetFlow("bb22")->source == "the flow");
  CHECK(store->GetFlow("cc33")->source == "a file");
  CHECK(Outline(*store->FindVersions("local", "", "cc33")) == "");  // a part is no version
}

TEST_CASE_TEMPLATE("registering what is current changes nothing", Store, InMemory, OnDisk) {
  Store store;
  MustRegister(store, Flow("build", "aa11", 1));
  const auto again = store->Register(Flow("build", "aa11", 2));
  REQUIRE(again.ok());
  CHECK(again->existing);
  CHECK(again->version.at == At(1));
  CHECK(store->FlowHistory("local", "build", 0, 10)->size() == 1);

  ports::Registration elsewhere = Flow("build", "aa11", 3);
  elsewhere.workspace = "/elsewhere";
  CHECK(MustRegister(store, elsewhere).version == 2);
}

TEST_CASE_TEMPLATE("a repeated request has one outcome, whatever came between", Store, InMemory,
                   OnDisk) {
  Store store;
  MustRegister(store, Flow("build", "aa11", 1, {}, "request-1"));
  MustRegister(store, Flow("build", "bb22", 2));
  const auto again = store->Register(Flow("build", "aa11", 3, {}, "request-1"));
  REQUIRE(again.ok());
  CHECK(again->existing);
  CHECK(again->version.version == 1);
  CHECK(store->CurrentFlow("local", "build")->digest == "bb22");
  CHECK(absl::IsAlreadyExists(store->Register(Flow("build", "cc33", 4, {}, "request-1")).status()));
  CHECK(absl::IsAlreadyExists(store->Remove({"local", "build", "uid:1", "request-1", At(5)})));
}

TEST_CASE_TEMPLATE("a flow that is taken away leaves its history and nothing else", Store, InMemory,
                   OnDisk) {
  Store store;
  MustRegister(store, Flow("build", "aa11", 1, {Cron("0 3 * * *")}));
  REQUIRE(store->Remove({"local", "build", "uid:7", "request-9", At(2)}).ok());
  CHECK(absl::IsNotFound(store->CurrentFlow("local", "build").status()));
  CHECK(store->ListFlows({})->empty());
  CHECK(Triggers(store).empty());
  CHECK(Outline(*store->FlowHistory("local", "build", 0, 10)) == "build:2= build:1=aa11");
  CHECK(store->Remove({"local", "build", "uid:7", "request-9", At(3)}).ok());  // said again
  CHECK(absl::IsNotFound(store->Remove({"local", "build", "uid:7", "", At(3)})));
  CHECK(MustRegister(store, Flow("build", "cc33", 4)).version == 3);
}

TEST_CASE_TEMPLATE("flows are listed by name, a page at a time", Store, InMemory, OnDisk) {
  Store store;
  for (const char* name : {"delta", "alpha", "charlie", "bravo"}) {
    MustRegister(store, Flow(name, absl::StrCat("d1ce", name), 1));
  }
  MustRegister(store, Flow("bravo", "bb22", 2));
  CHECK(Outline(*store->ListFlows({.limit = 2})) == "alpha:1=d1cealpha bravo:2=bb22");
  CHECK(Outline(*store->ListFlows({.after = "bravo"})) ==
        "charlie:1=d1cecharlie delta:1=d1cedelta");
  CHECK(store->ListFlows({.tenant = "other"})->empty());
}

TEST_CASE_TEMPLATE("versions are found by the start of their digest", Store, InMemory, OnDisk) {
  Store store;
  MustRegister(store, Flow("build", "aa11", 1));
  MustRegister(store, Flow("build", "aa22", 2));
  MustRegister(store, Flow("build", "aa11", 3));
  MustRegister(store, Flow("test", "aaff", 4));
  CHECK(Outline(*store->FindVersions("local", "build", "aa1")) == "build:3=aa11");
  CHECK(Outline(*store->FindVersions("local", "build", "aa")) == "build:3=aa11 build:2=aa22");
  CHECK(store->FindVersions("local", "", "aa")->size() == 3);
  CHECK(Outline(*store->FindVersions("local", "", "aaf")) == "test:1=aaff");
  CHECK(store->FindVersions("local", "build", "bb")->empty());
}

TEST_CASE_TEMPLATE("a trigger that stays keeps what was decided; the others come and go", Store,
                   InMemory, OnDisk) {
  Store store;
  MustRegister(store, Flow("build", "aa11", 1, {Cron("0 3 * * *"), Cron("0 4 * * *", 1)}));
  std::vector<TriggerRow> rows = Triggers(store, "build");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].cursor == At(1));
  CHECK(rows[0].last.decision == "");
  CHECK(rows[0].digest == "aa11");

  ports::TriggerChange change{.trigger = rows[0].no, .cursor = At(50), .owe = {At(50)}};
  change.last = ports::TriggerDecision{At(50), At(51), "queued", "the last run goes on"};
  change.run = MakeId(1);
  ports::TriggerChange other{.trigger = rows[1].no, .owe = {At(60)}};
  ports::TriggerChange gone{.trigger = 999, .owe = {At(70)}};
  REQUIRE(store->Change({change, other, gone}).ok());
  CHECK(store->ListDue()->size() == 2);

  TriggerSpec moved = Cron("0 3 * * *", 1);
  moved.overlap = "queue";
  MustRegister(store, Flow("build", "bb22", 100, {Cron("0 5 * * *"), moved}));
  rows = Triggers(store, "build");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].spec.what == "0 5 * * *");
  CHECK(rows[0].cursor == At(100));
  CHECK(rows[1].spec.what == "0 3 * * *");
  CHECK(rows[1].spec.overlap == "queue");
  CHECK(rows[1].cursor == At(50));
  CHECK(rows[1].last.decision == "queued");
  CHECK(rows[1].last.reason == "the last run goes on");
  CHECK(rows[1].run == MakeId(1));
  CHECK(rows[1].digest == "bb22");
  auto due = store->ListDue();
  REQUIRE(due->size() == 1);
  CHECK(due->front().scheduled_at == At(50));
  CHECK(due->front().trigger == rows[1].no);
  REQUIRE(store->Change({{.trigger = rows[1].no, .settle = {due->front().no}}}).ok());
  CHECK(store->ListDue()->empty());
}

TEST_CASE_TEMPLATE("the end of a run owes a start to each trigger that waits for such an end",
                   Store, InMemory, OnDisk) {
  Store store;
  MustRegister(store, Flow("deploy", "aa11", 1, {After("build")}));
  MustRegister(store, Flow("mourn", "bb22", 1, {After("build", "failure")}));
  MustRegister(store, Flow("log", "cc33", 1, {After("build", "done")}));
  MustRegister(store, Flow("other", "dd44", 1, {After("elsewhere")}));
  REQUIRE(store->Append({Start(1), Start(2), Start(3)}).ok());
  CHECK(store->due_by_runs() == 0);

  auto flows_owed = [&] {
    std::string owed;
    const auto starts = store->ListDue();
    for (const ports::DueStart& due : *starts) {
      for (const TriggerRow& row : Triggers(store)) {
        if (row.no == due.trigger) absl::StrAppend(&owed, owed.empty() ? "" : " ", row.flow);
      }
    }
    return owed;
  };
  REQUIRE(store->Append({Finish(1, 1)}).ok());
  CHECK(flows_owed() == "deploy log");
  CHECK(store->ListDue()->front().cause == MakeId(1));
  CHECK(store->due_by_runs() == 2);
  REQUIRE(store->Append({Finish(2, 1, ports::RunStatus::kFailed)}).ok());
  CHECK(flows_owed() == "deploy log mourn log");
  REQUIRE(store->Append({Finish(3, 1, ports::RunStatus::kCancelled)}).ok());
  CHECK(flows_owed() == "deploy log mourn log log");
}

TEST_CASE_TEMPLATE("an end that is not recorded owes nothing", Store, InMemory, OnDisk) {
  Store store;
  MustRegister(store, Flow("deploy", "aa11", 1, {After("build")}));
  CHECK(absl::IsAborted(store->Append({Start(1), Finish(1, 1), Progress(7, 1)})));
  CHECK(store->due_by_runs() == 0);
  CHECK(store->ListDue()->empty());
  REQUIRE(store->Append({Start(1), Finish(1, 1)}).ok());
  CHECK(store->due_by_runs() == 1);
}

TEST_CASE("flows, triggers and what they owe survive the end of the process") {
  OnDisk store;
  MustRegister(store, Flow("deploy", "aa11", 1, {After("build")}, "request-1"));
  store.Open();
  REQUIRE(store->Append({Start(1), Finish(1, 1)}).ok());
  store.Open();
  CHECK(store->CurrentFlow("local", "deploy")->digest == "aa11");
  CHECK(store->ListDue()->size() == 1);
  CHECK(store->Register(Flow("deploy", "aa11", 9, {}, "request-1"))->existing);
}

}  // namespace
}  // namespace beamline::store
