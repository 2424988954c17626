// Calls to a real daemon about runs that are there, and about some that are not.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kHello[] =
    "beamline: flow/v1\n"
    "name: hello\n"
    "steps:\n"
    "  - id: say\n"
    "    run: 'echo hello; echo oops >&2; echo \"n:=7\" >> $BEAMLINE_OUTPUT'\n"
    "  - id: more\n"
    "    set: {n: '${{ steps.say.output.n }}'}\n";
constexpr char kSleep[] =
    "beamline: flow/v1\n"
    "name: sleep\n"
    "steps:\n"
    "  - {id: first, set: {a: 1}}\n"
    "  - {id: nap, run: [sleep, '60']}\n";
constexpr char kFail[] =
    "beamline: flow/v1\n"
    "name: broken\n"
    "steps:\n"
    "  - {id: bad, run: 'exit 3'}\n";
constexpr char kNobody[] = "01arz3ndektsv4rrffq69g5fav";

struct Fixture {
  TemporaryDirectory directory;
  Beamlined daemon{directory.path()};
  bool listens = daemon.AwaitSocket();
  Client client{daemon.socket()};
};

TEST_CASE_FIXTURE(Fixture, "a run is started, awaited and looked at") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kHello);
  REQUIRE(id.ok());
  CHECK(client.WaitFor(*id) == v1::STATUS_SUCCEEDED);
  const auto run = client.Get(*id);
  REQUIRE(run.ok());
  CHECK(run->flow_source() == kHello);
  CHECK(run->run().id() == *id);
  CHECK(run->run().flow() == "hello");
  CHECK(run->run().status() == v1::STATUS_SUCCEEDED);
  CHECK(run->run().actor() == absl::StrCat("uid:", geteuid()));
  REQUIRE(run->run().steps_size() == 2);
  CHECK(run->run().steps(0).output().json() == "{\"n\":7}");
  CHECK(run->run().steps(1).status() == v1::STATUS_SUCCEEDED);
}

TEST_CASE_FIXTURE(Fixture, "waiting tells why a run failed") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kFail);
  REQUIRE(id.ok());
  v1::WaitRunRequest request;
  request.set_run_id(*id);
  for (int i = 0; i < 2; ++i) {  // while it runs, and when it is over
    const auto response = client.Wait(request);
    REQUIRE(response.ok());
    CHECK(response->reached());
    CHECK(response->status() == v1::STATUS_FAILED);
    CHECK(response->failure().kind() != "");
  }
}

TEST_CASE_FIXTURE(Fixture, "a wait ends at its time limit, at a step's end, and with its client") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kSleep);
  REQUIRE(id.ok());
  v1::WaitRunRequest request;
  request.set_run_id(*id);
  request.set_timeout_ms(30);
  auto response = client.Wait(request);
  REQUIRE(response.ok());
  CHECK_FALSE(response->reached());
  CHECK(response->status() == v1::STATUS_RUNNING);

  request.set_timeout_ms(0);
  request.set_step("first");
  response = client.Wait(request);
  REQUIRE(response.ok());
  CHECK(response->reached());
  CHECK(response->status() == v1::STATUS_RUNNING);

  request.set_step("nap");
  CHECK(absl::IsDeadlineExceeded(client.Wait(request, absl::Milliseconds(50)).status()));

  request.set_step("knap");
  CHECK(ReasonOf(client.Wait(request).status()) == "STEP_NOT_FOUND");
  request.set_timeout_ms(-1);
  CHECK(ReasonOf(client.Wait(request).status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "a cancelled run ends, and a finished one cannot be cancelled") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kSleep);
  REQUIRE(id.ok());
  REQUIRE(client.Cancel(*id).ok());
  CHECK(client.WaitFor(*id) == v1::STATUS_CANCELLED);
  const absl::Status again = client.Cancel(*id).status();
  CHECK(absl::IsFailedPrecondition(again));
  CHECK(ReasonOf(again) == "RUN_FINISHED");
}

TEST_CASE_FIXTURE(Fixture, "a finished run can be deleted, with what it printed") {
  REQUIRE(listens);
  const auto running = client.StartFlow(kSleep);
  REQUIRE(running.ok());
  CHECK(ReasonOf(client.Delete(*running)) == "RUN_NOT_FINISHED");
  const auto id = client.StartFlow(kHello);
  REQUIRE(id.ok());
  REQUIRE(client.WaitFor(*id) == v1::STATUS_SUCCEEDED);
  CHECK(client.Delete(*id).ok());
  CHECK(ReasonOf(client.Get(*id).status()) == "RUN_NOT_FOUND");
  CHECK(ReasonOf(client.Delete(*id)) == "RUN_NOT_FOUND");
}

TEST_CASE_FIXTURE(Fixture, "nobody's id is NOT_FOUND for every call") {
  REQUIRE(listens);
  for (const char* id : {kNobody, "nonsense", "", "../../etc/passwd"}) {
    CAPTURE(id);
    v1::WaitRunRequest wait;
    wait.set_run_id(id);
    v1::StreamExecutionEventsRequest stream;
    stream.set_run_id(id);
    v1::TailOutputRequest tail;
    tail.set_run_id(id);
    for (const absl::Status& status :
         {client.Get(id).status(), client.Wait(wait).status(), client.Cancel(id).status(),
          client.Delete(id), client.Output(tail).status(),
          client.Blob(id, "blob:sha256:00").status(),
          client.Events(stream, [](const v1::ExecutionEvent&) { return true; })}) {
      CHECK(absl::IsNotFound(status));
      CHECK(ReasonOf(status) == "RUN_NOT_FOUND");
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "what people type leads to a run") {
  REQUIRE(listens);
  CHECK(ReasonOf(client.Resolve("@latest").status()) == "RUN_NOT_FOUND");
  const std::string first = *client.StartFlow(kFail);
  CHECK(client.WaitFor(first) == v1::STATUS_FAILED);
  absl::SleepFor(absl::Milliseconds(2));  // ids of one millisecond have no order
  const std::string second = *client.StartFlow(kHello);
  CHECK(client.WaitFor(second) == v1::STATUS_SUCCEEDED);

  CHECK(*client.Resolve("@latest") == second);
  CHECK(*client.Resolve("@latest-failed") == first);
  CHECK(*client.Resolve(first) == first);
  CHECK(*client.Resolve(second.substr(20)) == second);
  CHECK(*client.Resolve(second.substr(0, 18)) == second);
  std::string upper = second.substr(20);
  for (char& c : upper) c = static_cast<char>(toupper(c));
  CHECK(*client.Resolve(upper) == second);

  const absl::Status ambiguous = client.Resolve(first.substr(0, 4)).status();
  CHECK(ReasonOf(ambiguous) == "RUN_AMBIGUOUS");
  CHECK(DetailsOf(ambiguous).metadata ==
        std::vector<std::pair<std::string, std::string>>{{"ids", second + "," + first}});
  CHECK(ReasonOf(client.Resolve("zzzzzz").status()) == "RUN_NOT_FOUND");
  CHECK(ReasonOf(client.Resolve("01a").status()) == "ARGUMENT_INVALID");
  CHECK(ReasonOf(client.Resolve("@oldest").status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "lists come in pages, newest first, each run once") {
  REQUIRE(listens);
  std::set<std::string> started;
  for (int i = 0; i < 7; ++i) started.insert(*client.StartFlow(kFail));
  for (const std::string& id : started) client.WaitFor(id);
  v1::ListRunsRequest request;
  request.set_page_size(3);
  std::vector<std::string> listed;
  int pages = 0;
  do {
    const auto page = client.List(request);
    REQUIRE(page.ok());
    CHECK(page->runs_size() <= 3);
    for (const v1::RunSummary& run : page->runs()) listed.push_back(run.id());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  CHECK(pages == 3);
  CHECK(std::set<std::string>(listed.begin(), listed.end()) == started);
  CHECK(std::is_sorted(listed.rbegin(), listed.rend()));

  request.add_statuses(v1::STATUS_SUCCEEDED);
  CHECK(client.List(request)->runs_size() == 0);
  request.add_statuses(v1::STATUS_SKIPPED);
  CHECK(ReasonOf(client.List(request).status()) == "ARGUMENT_INVALID");
  request.clear_statuses();
  request.set_page_size(-1);
  CHECK(ReasonOf(client.List(request).status()) == "ARGUMENT_INVALID");
  request.set_page_size(0);
  request.set_page_token("made up");
  CHECK(ReasonOf(client.List(request).status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "health and reflection answer, so that common tools work") {
  REQUIRE(listens);
  CHECK(*client.Health("") == 1);
  CHECK(*client.Health("beamline.v1.OrchestratorService") == 1);
  CHECK(*client.Health("beamline.v1.AdminService") == 1);
  CHECK(*client.Health("beamline.v1.WorkerService") == 1);
  CHECK(absl::IsNotFound(client.Health("beamline.v1.Nothing").status()));
  const auto names = client.ReflectedServices();
  REQUIRE(names.ok());
  const auto listed = [&](const std::string& name) {
    return std::any_of(names->begin(), names->end(),
                       [&](const std::string& text) { return text.find(name) != text.npos; });
  };
  CHECK(listed("beamline.v1.OrchestratorService"));
  CHECK(listed("grpc.health.v1.Health"));
}

TEST_CASE_FIXTURE(Fixture, "the daemon tells about itself") {
  REQUIRE(listens);
  CHECK(client.Ping()->protocol() == "v1");
  const auto status = client.Status();
  REQUIRE(status.ok());
  CHECK(status->pid() == daemon.pid());
  CHECK(status->data_dir() == directory.path());
  CHECK(status->socket() == daemon.socket());
  CHECK(status->durability() == "sqlite, WAL, synchronous=FULL");
  CHECK(status->resident_bytes() > 1 << 20);
  CHECK(status->problems_size() == 0);
  CHECK_FALSE(status->draining());
}

}  // namespace
}  // namespace beamline::rpc_testing
