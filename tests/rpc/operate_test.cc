// RetryRun, SkipStep, ReplayRun and the dead letters of a real daemon: once per request, and the
// same answer each time.
#include <doctest/doctest.h>

#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kFail[] =
    "beamline: flow/v1\n"
    "name: broken\n"
    "inputs: {code: {type: number, default: 3}}\n"
    "steps:\n"
    "  - {id: good, set: {a: 1}}\n"
    "  - {id: bad, env: {CODE: '${{ inputs.code }}'}, run: 'exit $CODE'}\n"
    "  - {id: after, set: {b: 2}}\n";
constexpr char kNobody[] = "01arz3ndektsv4rrffq69g5fav";

struct Fixture {
  TemporaryDirectory directory;
  Beamlined daemon{directory.path()};
  bool listens = daemon.AwaitSocket();
  Client client{daemon.socket()};

  // The id of a run that has failed.
  std::string Failed() {
    const auto id = client.StartFlow(kFail);
    REQUIRE(id.ok());
    REQUIRE(client.WaitFor(*id) == v1::STATUS_FAILED);
    return *id;
  }
  v1::RetryRunRequest RetryOf(const std::string& run, const std::string& request_id) {
    v1::RetryRunRequest request;
    request.set_run_id(run);
    request.set_request_id(request_id);
    return request;
  }
};

TEST_CASE_FIXTURE(Fixture, "a retry is carried out once, and answers the same when repeated") {
  REQUIRE(listens);
  v1::RetryRunRequest request = RetryOf(Failed(), "r1");
  request.set_inputs("{\"code\":0}");
  const auto first = client.Retry(request);
  REQUIRE(first.ok());
  CHECK(first->reopened());
  REQUIRE(first->steps_size() == 1);
  CHECK(first->steps(0) == "bad");
  REQUIRE(first->following_size() == 1);
  CHECK(first->following(0) == "after");
  CHECK(client.WaitFor(request.run_id()) == v1::STATUS_SUCCEEDED);

  const auto second = client.Retry(request);
  REQUIRE(second.ok());
  CHECK(second->steps(0) == "bad");
  CHECK(second->following(0) == "after");
  CHECK(client.Get(request.run_id())->run().steps(1).attempts_size() == 2);

  request.set_downstream(true);
  CHECK(ReasonOf(client.Retry(request).status()) == "REQUEST_ID_REUSED");
}

TEST_CASE_FIXTURE(Fixture, "what cannot be retried is refused with its reason") {
  REQUIRE(listens);
  v1::RetryRunRequest request = RetryOf(Failed(), "r1");
  request.set_step("good");
  CHECK(ReasonOf(client.Retry(request).status()) == "NOT_POSSIBLE");
  request.set_step("nothing");
  CHECK(ReasonOf(client.Retry(request).status()) == "STEP_NOT_FOUND");
  request.set_step("");
  request.set_inputs("{\"code\":\"x\"}");
  CHECK(ReasonOf(client.Retry(request).status()) == "INPUTS_INVALID");
  request.set_inputs("[");
  CHECK(ReasonOf(client.Retry(request).status()) == "ARGUMENT_INVALID");
  CHECK(ReasonOf(client.Retry(RetryOf(kNobody, "r2")).status()) == "RUN_NOT_FOUND");
  request.set_inputs("");
  request.set_request_id(std::string(1000, 'x'));
  CHECK(ReasonOf(client.Retry(request).status()) == "REQUEST_TOO_LARGE");
}

TEST_CASE_FIXTURE(Fixture, "a dry run of a retry answers as the retry does, and writes nothing") {
  REQUIRE(listens);
  v1::RetryRunRequest request = RetryOf(Failed(), "");
  const size_t events = client.AllEvents(request.run_id()).size();
  request.set_inputs("{\"code\":0}");
  request.set_dry_run(true);
  const auto plan = client.Retry(request);
  REQUIRE(plan.ok());
  CHECK(plan->status() == v1::STATUS_FAILED);
  CHECK(plan->reopened());
  CHECK(plan->inputs() == "{\"code\":0}");
  REQUIRE(plan->kept_size() == 1);
  CHECK(plan->kept(0).path() == "good");
  CHECK(client.AllEvents(request.run_id()).size() == events);
  CHECK(client.Get(request.run_id())->run().status() == v1::STATUS_FAILED);

  request.set_dry_run(false);
  const auto retry = client.Retry(request);
  REQUIRE(retry.ok());
  CHECK(retry->kept().empty());
  CHECK(std::vector(retry->steps().begin(), retry->steps().end()) ==
        std::vector(plan->steps().begin(), plan->steps().end()));
  CHECK(std::vector(retry->following().begin(), retry->following().end()) ==
        std::vector(plan->following().begin(), plan->following().end()));

  request.set_dry_run(true);
  request.set_step("good");
  CHECK(ReasonOf(client.Retry(request).status()) == "NOT_POSSIBLE");
  request.set_step("nothing");
  CHECK(ReasonOf(client.Retry(request).status()) == "STEP_NOT_FOUND");
}

TEST_CASE_FIXTURE(Fixture, "the daemon says what goes on, and what the last hour brought") {
  REQUIRE(listens);
  const auto idle = client.Activity();
  REQUIRE(idle.ok());
  CHECK(idle->running() == 0);
  CHECK(idle->oldest().empty());
  Failed();
  const auto running =
      client.StartFlow("beamline: flow/v1\nname: slow\nsteps:\n  - {id: nap, run: 'sleep 1000'}\n");
  REQUIRE(running.ok());
  v1::GetActivityResponse busy;
  for (int i = 0; i < 500 && busy.attempts() == 0; ++i) {  // it has its slot before it starts
    busy = *client.Activity(5);
    absl::SleepFor(absl::Milliseconds(10));
  }
  CHECK(busy.running() == 1);
  CHECK(busy.slots_busy() == 1);
  CHECK(busy.attempts() == 1);
  CHECK(busy.dead_letters() == 1);
  CHECK(busy.tasks_open() == 0);
  CHECK(busy.total().started() == 2);
  CHECK(busy.total().failed() == 1);
  CHECK(busy.last_minute().failed() == 1);
  CHECK(busy.last_hour().started() == 2);
  REQUIRE(busy.oldest_size() == 1);
  CHECK(busy.oldest(0).run_id() == *running);
  CHECK(busy.oldest(0).flow() == "slow");
  CHECK(busy.busiest_size() == 1);
  CHECK(ReasonOf(client.Activity(-1).status()) == "ARGUMENT_INVALID");
  CHECK(client.Cancel(*running, true).ok());
}

TEST_CASE_FIXTURE(Fixture, "letters are retried in bulk, and each tells what came of it") {
  REQUIRE(listens);
  const std::string first = Failed(), second = Failed();
  v1::ListDeadLettersRequest list;
  list.set_page_size(1);
  auto page = client.DeadLetters(list);
  REQUIRE(page.ok());
  REQUIRE(page->letters_size() == 1);
  CHECK(page->letters(0).run_id() == second);
  CHECK(page->letters(0).failure().exit_code() == 3);
  list.set_page_token(page->next_page_token());
  page = client.DeadLetters(list);
  CHECK(page->letters(0).run_id() == first);
  CHECK(page->next_page_token().empty());
  list.set_page_token("nonsense");
  CHECK(ReasonOf(client.DeadLetters(list).status()) == "ARGUMENT_INVALID");

  v1::RetryDeadLettersRequest request;
  request.set_request_id("bulk");
  for (const std::string& run : {first, std::string(kNobody), std::string("nonsense"), second}) {
    v1::DeadLetterRef* letter = request.add_letters();
    letter->set_run_id(run);
    letter->set_step("bad");
  }
  for (int i = 0; i < 2; ++i) {  // repeated, it changes nothing and says the same
    const auto response = client.RetryLetters(request);
    REQUIRE(response.ok());
    REQUIRE(response->results_size() == 4);
    CHECK(response->results(0).code() == 0);
    CHECK(response->results(1).reason() == "RUN_NOT_FOUND");
    CHECK(response->results(2).reason() == "RUN_NOT_FOUND");
    CHECK(response->results(3).code() == 0);
    CHECK(client.WaitFor(first) == v1::STATUS_FAILED);
    CHECK(client.WaitFor(second) == v1::STATUS_FAILED);
    CHECK(client.Get(first)->run().steps(1).attempts_size() == 2);
  }
}

TEST_CASE_FIXTURE(Fixture, "a replay is another run that names the one it goes on from") {
  REQUIRE(listens);
  v1::ReplayRunRequest request;
  request.set_run_id(Failed());
  request.set_request_id("p1");
  request.set_from("lost");
  CHECK(ReasonOf(client.Replay(request).status()) == "STEP_NOT_FOUND");
  request.set_from("bad");
  request.set_inputs("{\"code\":0}");
  const auto replay = client.Replay(request);
  REQUIRE(replay.ok());
  CHECK(client.WaitFor(replay->run_id()) == v1::STATUS_SUCCEEDED);
  const auto run = client.Get(replay->run_id());
  CHECK(run->run().replay_of().run_id() == request.run_id());
  CHECK(run->run().steps(0).reused());
  CHECK(run->run().steps(0).attempts().empty());
  const auto again = client.Replay(request);
  REQUIRE(again.ok());
  CHECK(again->existing());
  CHECK(again->run_id() == replay->run_id());
  request.set_from("after");
  CHECK(ReasonOf(client.Replay(request).status()) == "REQUEST_ID_REUSED");
}

}  // namespace
}  // namespace beamline::rpc_testing
