// Registered flows of a real daemon: names, versions, and runs by name.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

std::string Greet(const std::string& word) {
  return absl::StrCat("beamline: flow/v1\nname: greet\ndescription: Says ", word,
                      ".\nlabels: {team: a}\ninputs: {who: {type: string, default: ada}}\n"
                      "triggers: [{cron: '0 3 1 1 *', inputs: {who: '${{ trigger.kind }}'}}]\n"
                      "steps:\n  - {id: say, set: {text: '",
                      word, " ${{ inputs.who }}'}}\n");
}

struct Fixture {
  TemporaryDirectory directory;
  Beamlined daemon{directory.path()};
  bool listens = daemon.AwaitSocket();
  Client client{daemon.socket()};

  v1::FlowVersion MustRegister(const std::string& source, const std::string& request_id = "") {
    v1::RegisterFlowRequest request;
    request.set_flow_source(source);
    request.set_workspace("/work");
    request.set_request_id(request_id);
    const auto response = client.Register(request);
    REQUIRE_MESSAGE(response.ok(), response.status().message());
    return response->flow().version();
  }
  // The text that a run of `flow` says.
  std::string Said(const v1::StartRunRequest& request) {
    const auto started = client.Start(request);
    REQUIRE_MESSAGE(started.ok(), started.status().message());
    CHECK(client.WaitFor(started->run_id()) == v1::STATUS_SUCCEEDED);
    return client.Get(started->run_id())->run().steps(0).output().json();
  }
};

TEST_CASE_FIXTURE(Fixture, "a flow is registered, found in every way, and taken away") {
  REQUIRE(listens);
  const v1::FlowVersion first = MustRegister(Greet("hello"));
  CHECK(first.version() == 1);
  CHECK(first.actor() == absl::StrCat("uid:", geteuid()));
  CHECK(first.workspace() == "/work");
  const v1::FlowVersion second = MustRegister(Greet("goodbye"));
  CHECK(second.version() == 2);

  const auto by_name = client.GetFlow("greet");
  REQUIRE(by_name.ok());
  CHECK(by_name->flow_source() == Greet("goodbye"));
  CHECK(by_name->current());
  CHECK(by_name->flow().description() == "Says goodbye.");
  CHECK(by_name->labels(0).key() == "team");
  REQUIRE(by_name->flow().triggers_size() == 1);
  CHECK(by_name->flow().triggers(0).kind() == "cron");
  CHECK(by_name->flow().triggers(0).tz() == "UTC");
  CHECK(by_name->flow().triggers(0).next_at().seconds() > absl::ToUnixSeconds(absl::Now()));
  for (const std::string& name :
       {absl::StrCat("greet@sha256:", first.digest()),
        absl::StrCat("greet@", first.digest().substr(0, 8)),
        absl::StrCat("sha256:", first.digest().substr(0, 12)), first.digest()}) {
    CAPTURE(name);
    const auto older = client.GetFlow(name);
    REQUIRE(older.ok());
    CHECK(older->flow_source() == Greet("hello"));
    CHECK_FALSE(older->current());
  }
  CHECK(client.ListFlows({})->flows_size() == 1);
  v1::ListFlowVersionsRequest history;
  history.set_name("greet");
  history.set_page_size(1);
  const auto newest = client.ListVersions(history);
  REQUIRE(newest.ok());
  CHECK(newest->versions(0).version() == 2);
  history.set_page_token(newest->next_page_token());
  CHECK(client.ListVersions(history)->versions(0).version() == 1);
  CHECK(client.ListVersions(history)->next_page_token() == "");

  CHECK(client.DeleteFlow("greet", "request-9").ok());
  CHECK(client.DeleteFlow("greet", "request-9").ok());
  CHECK(ReasonOf(client.DeleteFlow("greet")) == "FLOW_NOT_FOUND");
  CHECK(ReasonOf(client.GetFlow("greet").status()) == "FLOW_NOT_FOUND");
  CHECK(ReasonOf(client.GetFlow(absl::StrCat("greet@", first.digest())).status()) ==
        "FLOW_NOT_FOUND");
  history.set_page_token("");
  CHECK(client.ListVersions(history)->versions(0).digest() == "");
}

TEST_CASE_FIXTURE(Fixture, "a run by name is of the version that the name means when it starts") {
  REQUIRE(listens);
  const v1::FlowVersion first = MustRegister(Greet("hello"));
  v1::StartRunRequest request;
  request.set_flow("greet");
  request.set_request_id("once");
  CHECK(Said(request) == R"({"text":"hello ada"})");
  MustRegister(Greet("goodbye"));
  CHECK(Said(request) == R"({"text":"hello ada"})");  // the same request: the same run
  request.set_request_id("");
  request.set_inputs(R"({"who": "bob"})");
  CHECK(Said(request) == R"({"text":"goodbye bob"})");
  request.set_flow(absl::StrCat("greet@sha256:", first.digest()));
  CHECK(Said(request) == R"({"text":"hello bob"})");
  const auto runs = client.List({});
  CHECK(client.Get(runs->runs(0).id())->run().workspace() == "/work");
}

// A flow that hands on what the file beside it says, and that file.
v1::RegisterFlowRequest Pair(const std::string& word) {
  v1::RegisterFlowRequest request;
  request.set_flow_source(
      "beamline: flow/v1\nname: pair\nsteps: [{id: ask, flow: {uses: ./lib/say.flow.yaml}}]\n"
      "outputs: {said: '${{ steps.ask.output.said }}'}\n");
  request.set_workspace("/work");
  v1::FlowFile* file = request.add_files();
  file->set_path("lib/say.flow.yaml");
  file->set_source(absl::StrCat("beamline: flow/v1\nname: say\nsteps: [{id: say, set: {said: '",
                                word, "'}}]\noutputs: {said: '${{ steps.say.output.said }}'}\n"));
  return request;
}

TEST_CASE_FIXTURE(Fixture, "a flow is registered with its files, and its digest covers them") {
  REQUIRE(listens);
  v1::RegisterFlowRequest request = Pair("hello");
  const auto first = client.Register(request);
  REQUIRE_MESSAGE(first.ok(), first.status().message());
  CHECK(client.Register(request)->existing());
  const auto second = client.Register(Pair("goodbye"));  // only the file is another one
  REQUIRE(second.ok());
  CHECK(second->flow().version().version() == 2);
  CHECK(second->flow().version().digest() != first->flow().version().digest());
  request.set_check_digest(second->flow().version().digest());
  CHECK(ReasonOf(client.Register(request).status()) == "DIGEST_MISMATCH");

  const auto shown = client.GetFlow("pair");
  REQUIRE(shown.ok());
  CHECK(shown->flow_source() == request.flow_source());
  REQUIRE(shown->files_size() == 1);
  CHECK(shown->files(0).path() == "lib/say.flow.yaml");
  CHECK(shown->files(0).source() == Pair("goodbye").files(0).source());

  const auto said = [&](const std::string& flow) {
    v1::StartRunRequest start;
    start.set_flow(flow);
    const auto started = client.Start(start);
    REQUIRE_MESSAGE(started.ok(), started.status().message());
    CHECK(client.WaitFor(started->run_id()) == v1::STATUS_SUCCEEDED);
    return client.Get(started->run_id())->run().outputs().json();
  };
  CHECK(said("pair") == R"({"said":"goodbye"})");
  CHECK(said(absl::StrCat("pair@", first->flow().version().digest())) == R"({"said":"hello"})");

  // Another flow may use such a version; the files come with it.
  const auto user = client.StartFlow(absl::StrCat(
      "beamline: flow/v1\nname: user\nsteps: [{id: a, flow: {uses: 'pair@sha256:",
      first->flow().version().digest(), "'}}]\noutputs: {said: '${{ steps.a.output.said }}'}\n"));
  REQUIRE_MESSAGE(user.ok(), user.status().message());
  CHECK(client.WaitFor(*user) == v1::STATUS_SUCCEEDED);
  CHECK(client.Get(*user)->run().outputs().json() == R"({"said":"hello"})");

  v1::StartRunRequest both;
  both.set_flow("pair");
  *both.add_files() = request.files(0);
  CHECK(ReasonOf(client.Start(both).status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "what cannot be registered or found is refused with its reason") {
  REQUIRE(listens);
  MustRegister(Greet("hello"), "request-1");
  MustRegister(Greet("goodbye"));
  CHECK(MustRegister(Greet("hello"), "request-1").version() == 1);  // again, as it was
  CHECK(client.GetFlow("greet")->flow().version().version() == 2);

  v1::RegisterFlowRequest request;
  request.set_flow_source(Greet("other"));
  request.set_request_id("request-1");
  CHECK(ReasonOf(client.Register(request).status()) == "REQUEST_ID_REUSED");
  request.set_request_id("");
  request.set_check_digest("0000");
  CHECK(ReasonOf(client.Register(request).status()) == "DIGEST_MISMATCH");
  request.set_check_digest("");
  request.set_workspace("relative");
  CHECK(ReasonOf(client.Register(request).status()) == "ARGUMENT_INVALID");
  request.set_workspace("");
  request.set_flow_source("beamline: flow/v1\nname: x\nsteps: []\n");
  CHECK(ReasonOf(client.Register(request).status()) == "FLOW_INVALID");
  request.set_flow_source(
      "beamline: flow/v1\nname: x\ntriggers: [{event: a.b}]\nsteps: [{id: a, run: 'true'}]\n");
  const absl::Status refused = client.Register(request).status();
  CHECK(ReasonOf(refused) == "FLOW_NOT_EXECUTABLE");
  CHECK(DetailsOf(refused).violations.front().reason() == "BL0505");
  CHECK(client.ListFlows({})->flows_size() == 1);

  v1::StartRunRequest start;
  start.set_flow("gret");
  const absl::Status unknown = client.Start(start).status();
  CHECK(ReasonOf(unknown) == "FLOW_NOT_FOUND");
  CHECK(unknown.message() == "no flow `gret` is registered; did you mean `greet`?");
  start.set_flow_source(Greet("both"));
  CHECK(ReasonOf(client.Start(start).status()) == "ARGUMENT_INVALID");
  CHECK(ReasonOf(client.GetFlow("sha256:0").status()) == "ARGUMENT_INVALID");
  CHECK(ReasonOf(client.GetFlow("sha256:0000").status()) == "FLOW_NOT_FOUND");
  CHECK(ReasonOf(client.GetFlow(std::string(1000, 'a')).status()) == "REQUEST_TOO_LARGE");
  v1::ListFlowsRequest page;
  page.set_page_token("nonsense");
  CHECK(ReasonOf(client.ListFlows(page).status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "flows are there after kill -9") {
  REQUIRE(listens);
  MustRegister(Greet("hello"));
  daemon.Signal(SIGKILL);
  CHECK(daemon.AwaitExit() == 128 + SIGKILL);
  Beamlined next(directory.path());
  REQUIRE(next.AwaitSocket());
  Client again(next.socket());
  CHECK(again.GetFlow("greet")->flow().version().version() == 1);
}

}  // namespace
}  // namespace beamline::rpc_testing
