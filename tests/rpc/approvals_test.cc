// Approvals by different people, on the real daemon: who may decide, what is too late, and that a
// decision is neither lost nor counted twice when the daemon is killed.
#include <doctest/doctest.h>
#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/remote.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/certificates.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

const char kReview[] = R"(beamline: flow/v1
name: release
steps:
  - id: review
    approve: {title: 'Ship it?', show: {version: 7}, approvers: ['group:ops', 'user:grace']}
)";
const char kOpen[] =
    "beamline: flow/v1\nname: open\nsteps:\n  - {id: review, approve: {title: 'Good?'}}\n";

// A daemon with people: ada and bob are of the group `ops`.
class Office {
 public:
  Office() {
    ca_.Server("server", now_);
    for (const char* name : {"ada", "bob", "eve", "grace"}) ca_.Client(name, name, now_);
    WriteFile(At("beamlined.yaml"), "groups: {ops: [ada, bob]}\n");
    Start();
  }

  void Start() {
    daemon_.emplace(data_.path(), std::vector<std::string>{
                                      "--listen", "127.0.0.1:0", "--tls-cert", At("server.crt"),
                                      "--tls-key", At("server.key"), "--tls-ca", At("ca.crt"),
                                      "--config", At("beamlined.yaml")});
    REQUIRE(daemon_->AwaitSocket());
    local_ = std::make_unique<Client>(daemon_->socket());
    address_ = local_->Status()->listen();
  }
  void Kill() {
    daemon_->Signal(SIGKILL);
    CHECK(daemon_->AwaitExit() == 128 + SIGKILL);
    daemon_.reset();
  }

  std::unique_ptr<cli::Client> As(const std::string& name) {
    auto client = cli::ConnectRemote(
        {address_, At(name + ".crt"), At(name + ".key"), At("ca.crt"), ""}, kPatience);
    REQUIRE_MESSAGE(client.ok(), client.status().message());
    return *std::move(client);
  }
  // One for a name that only this test knows.
  void Certify(const std::string& name) { ca_.Client(name, name, now_); }
  Client& local() { return *local_; }

  // Starts a run and waits until it asks.
  v1::TaskSummary Ask(const char* flow) {
    const auto run = local_->StartFlow(flow);
    REQUIRE(run.ok());
    v1::WaitRunRequest wait;
    wait.set_run_id(*run);
    wait.set_or_waiting(true);
    REQUIRE(local_->Wait(wait).ok());
    auto tasks = As("eve")->ListTasks({});
    REQUIRE(tasks.ok());
    for (const v1::TaskSummary& task : tasks->tasks()) {
      if (task.run_id() == *run) return task;
    }
    FAIL("the run asks nothing");
    return {};
  }

 private:
  std::string At(const std::string& name) const { return directory_.path() + "/" + name; }

  TemporaryDirectory directory_, data_;
  const absl::Time now_ = absl::Now();
  Authority ca_{directory_.path(), "ca"};
  std::optional<Beamlined> daemon_;
  std::unique_ptr<Client> local_;
  std::string address_;
};

v1::DecideTaskRequest Decision(const v1::TaskSummary& task, v1::Verdict verdict,
                               const std::string& request_id = "") {
  v1::DecideTaskRequest request;
  request.set_request_id(request_id);
  request.set_task(task.task());
  request.set_verdict(verdict);
  request.set_digest(task.digest());
  request.set_comment("because");
  return request;
}

// "" where the decision was taken, else the reason of the refusal.
std::string Answer(cli::Client& client, const v1::DecideTaskRequest& request) {
  const auto response = client.DecideTask(request);
  if (response.ok()) return "";
  const std::string reason = cli::DescribeError(response.status()).reason;
  return reason.empty() ? std::string(response.status().message()) : reason;
}

int CountDecisions(Client& client, const std::string& run) {
  int decisions = 0;
  for (const v1::ExecutionEvent& event : client.AllEvents(run)) {
    decisions += event.has_task_decided() ? 1 : 0;
  }
  return decisions;
}

std::string OwnName() {
  const passwd* user = getpwuid(getuid());
  return user == nullptr ? "" : user->pw_name;
}

}  // namespace

TEST_CASE("those who are asked decide, and nobody else") {
  Office office;
  const v1::TaskSummary task = office.Ask(kReview);
  CHECK(Answer(*office.As("eve"), Decision(task, v1::VERDICT_APPROVE)) == "NOT_AN_APPROVER");
  CHECK(Answer(*office.As("eve"), Decision(task, v1::VERDICT_REJECT)) == "NOT_AN_APPROVER");
  v1::ListTasksRequest mine;
  mine.set_mine(true);
  CHECK(office.As("eve")->ListTasks(mine)->tasks_size() == 0);
  CHECK(office.As("bob")->ListTasks(mine)->tasks_size() == 1);
  CHECK(office.As("eve")->GetTask(task.task())->task().refusal() != "");
  CHECK(Answer(*office.As("ada"), Decision(task, v1::VERDICT_APPROVE)) == "");
  CHECK(office.local().WaitFor(task.run_id()) == v1::STATUS_SUCCEEDED);
  const auto decided = office.As("eve")->GetTask(task.task());
  CHECK(decided->task().summary().state() == v1::TASK_STATE_APPROVED);
  CHECK(decided->task().decisions(0).actor() == "cert:ada");
}

TEST_CASE("who has started a run does not approve it, however they are connected") {
  Office office;
  const v1::TaskSummary task = office.Ask(kOpen);  // over the unix socket
  const std::string me = OwnName();
  if (!me.empty()) {  // the same person, with a certificate
    office.Certify(me);
    CHECK(Answer(*office.As(me), Decision(task, v1::VERDICT_APPROVE)) == "NOT_AN_APPROVER");
  }
  CHECK(Answer(*office.As("eve"), Decision(task, v1::VERDICT_APPROVE)) == "");
}

TEST_CASE("a vote that is handed on counts for the other one") {
  Office office;
  const v1::TaskSummary task = office.Ask(kReview);
  v1::DelegateTaskRequest request;
  request.set_task(task.task());
  request.set_to("user:eve");
  CHECK(!office.As("eve")->DelegateTask(request).ok());
  CHECK(office.As("grace")->DelegateTask(request).ok());
  CHECK(Answer(*office.As("grace"), Decision(task, v1::VERDICT_APPROVE)) == "NOT_AN_APPROVER");
  CHECK(Answer(*office.As("eve"), Decision(task, v1::VERDICT_APPROVE)) == "");
}

TEST_CASE("late, stale, repeated and malformed decisions have one outcome each") {
  Office office;
  const v1::TaskSummary task = office.Ask(kReview);
  const auto ada = office.As("ada"), bob = office.As("bob");
  v1::DecideTaskRequest request = Decision(task, v1::VERDICT_APPROVE, "r1");
  request.set_digest(std::string(64, 'a'));
  CHECK(Answer(*ada, request) == "TASK_STALE");
  request = Decision(task, v1::VERDICT_APPROVE, "r1");
  request.set_round(2);
  CHECK(Answer(*ada, request) == "TASK_STALE");
  request = Decision(task, v1::VERDICT_APPROVE, "r1");
  request.set_payload("{\"version\":8}");  // there is no form
  CHECK(Answer(*ada, request) == "DECISION_INVALID");
  request.set_payload("{");
  CHECK(Answer(*ada, request) == "ARGUMENT_INVALID");
  request.clear_payload();
  request.set_digest("");
  CHECK(Answer(*ada, request) == "ARGUMENT_INVALID");
  CHECK(Answer(*ada, Decision(task, v1::VERDICT_UNSPECIFIED)) == "ARGUMENT_INVALID");
  CHECK(Answer(*ada, Decision(task, v1::VERDICT_REQUEST_CHANGES)) == "CHANGES_UNAVAILABLE");
  v1::TaskSummary other = task;
  other.set_task(4711);
  CHECK(Answer(*ada, Decision(other, v1::VERDICT_APPROVE)) == "TASK_NOT_FOUND");

  CHECK(Answer(*ada, Decision(task, v1::VERDICT_APPROVE, "r1")) == "");
  CHECK(office.local().WaitFor(task.run_id()) == v1::STATUS_SUCCEEDED);
  // The run is over; its log still knows what was said.
  CHECK(Answer(*ada, Decision(task, v1::VERDICT_APPROVE, "r1")) == "");
  CHECK(Answer(*ada, Decision(task, v1::VERDICT_APPROVE)) == "");
  CHECK(Answer(*ada, Decision(task, v1::VERDICT_REJECT, "r1")) == "REQUEST_ID_REUSED");
  CHECK(Answer(*ada, Decision(task, v1::VERDICT_REJECT)) == "TASK_DECIDED");
  CHECK(Answer(*bob, Decision(task, v1::VERDICT_APPROVE)) == "TASK_DECIDED");
  CHECK(CountDecisions(office.local(), task.run_id()) == 1);
}

TEST_CASE("of two who decide at once one is first, and the other hears of it") {
  Office office;
  const auto ada = office.As("ada"), bob = office.As("bob");
  for (int i = 0; i < 10; ++i) {
    const v1::TaskSummary task = office.Ask(kReview);
    std::string yes, no;
    std::thread other([&] { no = Answer(*bob, Decision(task, v1::VERDICT_REJECT)); });
    yes = Answer(*ada, Decision(task, v1::VERDICT_APPROVE));
    other.join();
    CHECK(((yes.empty() && no == "TASK_DECIDED") || (no.empty() && yes == "TASK_DECIDED")));
    const v1::Status end = office.local().WaitFor(task.run_id());
    CHECK(end == (yes.empty() ? v1::STATUS_SUCCEEDED : v1::STATUS_FAILED));
    CHECK(CountDecisions(office.local(), task.run_id()) == 1);
  }
}

TEST_CASE("a decision that a kill interrupts is taken once, and what was answered is kept") {
  Office office;
  for (int i = 0; i < 5; ++i) {
    std::vector<v1::TaskSummary> tasks;
    for (int n = 0; n < 8; ++n) tasks.push_back(office.Ask(kReview));
    std::set<uint64_t> answered;
    auto ada = office.As("ada");
    std::thread decider([&] {
      for (const v1::TaskSummary& task : tasks) {
        const std::string id = absl::StrCat("decision-", task.task());
        if (ada->DecideTask(Decision(task, v1::VERDICT_APPROVE, id)).ok()) {
          answered.insert(task.task());
        }
      }
    });
    absl::SleepFor(absl::Milliseconds(2 + 3 * i));
    office.Kill();
    decider.join();
    office.Start();
    ada = office.As("ada");
    for (const v1::TaskSummary& task : tasks) {
      if (answered.contains(task.task())) {
        CHECK(ada->GetTask(task.task())->task().summary().state() == v1::TASK_STATE_APPROVED);
      }
      const std::string id = absl::StrCat("decision-", task.task());
      CHECK(Answer(*ada, Decision(task, v1::VERDICT_APPROVE, id)) == "");
      CHECK(office.local().WaitFor(task.run_id()) == v1::STATUS_SUCCEEDED);
      CHECK(CountDecisions(office.local(), task.run_id()) == 1);
    }
  }
}

}  // namespace beamline::rpc_testing
