// What a daemon says of a flow that names what is outside of it, and what it refuses to start.
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kHead[] = "beamline: flow/v1\nname: ask\n";
constexpr char kAsk[] = "steps:\n  - {id: a, llm: {route: writer, prompt: hello}}\n";

struct Fixture {
  TemporaryDirectory directory;
  std::string config = Configure();
  Beamlined daemon{directory.path(), {"--config", config}, {"PRESENT=hunter2"}};
  bool listens = daemon.AwaitSocket();
  Client client{daemon.socket()};

  std::string Configure() const {
    std::string path = directory.path() + "/config.yaml";
    std::ofstream(path)
        << "providers:\n  taped: {kind: recorded, file: " << directory.path() << "/taped.json}\n"
        << "  keyless: {kind: openai, base_url: 'http://127.0.0.1:1', key: {env: GONE}}\n"
        << "routes: {writer: taped/any, poor: keyless/any}\n";
    std::ofstream(directory.path() + "/taped.json") << "{\"responses\": {\"a\": [\"hello\"]}}";
    return path;
  }

  // "CODE line message" of each finding.
  std::vector<std::string> Says(const v1::CheckFlowRequest& request) {
    std::vector<std::string> lines;
    const auto response = client.CheckFlow(request);
    REQUIRE_MESSAGE(response.ok(), response.status().message());
    for (const v1::FlowFinding& finding : response->findings()) {
      lines.push_back(absl::StrCat(finding.severity(), " ", finding.code(), " ", finding.path(),
                                   ":", finding.line(), " ", finding.message()));
    }
    return lines;
  }
  std::vector<std::string> Says(const std::string& steps) {
    v1::CheckFlowRequest request;
    request.set_flow_source(kHead + steps);
    return Says(request);
  }
};

TEST_CASE_FIXTURE(Fixture, "a daemon knows its models, queues, flows and secrets") {
  REQUIRE(listens);
  CHECK(Says(kAsk).empty());
  const std::vector<std::string> says = Says(R"(
secrets: {there: {env: PRESENT}, gone: {env: ABSENT}}
steps:
  - {id: a, llm: {route: writter, prompt: hello}}
  - {id: b, llm: {model: acme/gpt, prompt: hello}}
  - {id: c, llm: {route: poor, prompt: hello}}
  - {id: d, worker: {queue: enrich, task: t}}
  - {id: e, flow: {uses: 'x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}}
  - {id: f, env: {A: {secret: there}, B: {secret: gone}}, run: 'true'}
)");
  REQUIRE(says.size() == 6);
  CHECK(says[0] ==
        "error BL0603 :6 route `writter`: there is no route `writter`; the daemon's configuration "
        "has "
        "poor, writer");
  CHECK(says[1].rfind("error BL0603 :7 model `acme/gpt`: there is no provider `acme`", 0) == 0);
  CHECK(says[2].find("the key of the provider keyless") != std::string::npos);
  CHECK(says[3] == "error BL0604 :9 queue `enrich` with task `t`: no worker serves it now");
  CHECK(says[4].find("BL0605 :10") != std::string::npos);
  CHECK(says[5].rfind("error BL0606 :11 secret `gone`: ", 0) == 0);
  CHECK(absl::StrJoin(says, " ").find("hunter2") == std::string::npos);  // no secret's value
}

TEST_CASE_FIXTURE(Fixture, "the files that come along are checked with it, and nothing is kept") {
  REQUIRE(listens);
  v1::CheckFlowRequest request;
  request.set_flow_source(absl::StrCat(kHead, R"(steps:
  - {id: a, flow: {uses: ./b.flow.yaml}}
  - {id: b, set: {v: '${{ steps.a.output.smu }}'}}
)"));
  v1::FlowFile* file = request.add_files();
  file->set_path("b.flow.yaml");
  file->set_source(
      "beamline: flow/v1\nname: b\noutputs: {sum: 1}\n"
      "steps: [{id: a, llm: {route: nobody, prompt: p}}]\n");
  const std::vector<std::string> says = Says(request);
  REQUIRE(says.size() == 2);
  CHECK(says[0] == "error BL0217 :5 `steps.a.output` has no `smu`");
  CHECK(says[1].rfind("error BL0603 b.flow.yaml:4 route `nobody`", 0) == 0);
  CHECK(client.ListFlows({})->flows_size() == 0);

  file->set_path("../b.flow.yaml");
  CHECK(ReasonOf(client.CheckFlow(request).status()) == "ARGUMENT_INVALID");
  request.clear_files();
  request.set_flow_source(std::string((1 << 20) + 1, ' '));
  CHECK(ReasonOf(client.CheckFlow(request).status()) == "REQUEST_TOO_LARGE");
}

TEST_CASE_FIXTURE(Fixture, "a run that could not do its work is refused before it is recorded") {
  REQUIRE(listens);
  for (const char* steps :
       {"steps: [{id: a, llm: {route: writter, prompt: hello}}]\n",
        "steps: [{id: a, flow: {uses: "
        "'x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}}]\n"}) {
    CAPTURE(steps);
    v1::StartRunRequest request;
    request.set_flow_source(absl::StrCat(kHead, steps));
    const absl::Status status = client.Start(request).status();
    CHECK(ReasonOf(status) == "FLOW_NOT_EXECUTABLE");
    REQUIRE(DetailsOf(status).violations.size() == 1);
    CHECK(DetailsOf(status).violations[0].field() == "flow_source:3:14");
    CHECK(client.List({})->runs_size() == 0);
  }
  // What may still come is waited for: a worker, a key.
  CHECK(client.StartFlow(absl::StrCat(kHead, "steps: [{id: a, worker: {queue: q, task: t}}]\n"))
            .ok());
  CHECK(client.StartFlow(absl::StrCat(kHead, "steps: [{id: a, llm: {route: poor, prompt: p}}]\n"))
            .ok());
}

TEST_CASE_FIXTURE(Fixture, "what is wrong in a file that comes along is found before it runs") {
  REQUIRE(listens);
  struct Case {
    const char *file, *reason, *field, *message;
  };
  const Case cases[] = {
      {"steps: [{id: a, agent: {model: taped/any, prompt: p}}]", "FLOW_NOT_EXECUTABLE",
       "lib/b.flow.yaml:3:14",
       "the flow cannot run: lib/b.flow.yaml:3: step `a` of kind `agent` cannot be executed by "
       "this "
       "release yet"},
      {"steps: [{id: a, llm: {route: nobody, prompt: p}}]", "FLOW_NOT_EXECUTABLE",
       "lib/b.flow.yaml:3:14", "lib/b.flow.yaml:3: route `nobody`"},
      {"secrets: {s: {store: x}}\nsteps: [{id: a, env: {A: {secret: s}}, run: 'true'}]",
       "FLOW_NOT_EXECUTABLE", "lib/b.flow.yaml:4:14", "`store` secret `s`"},
      {"steps: [{id: a, run: 'true', neeeds: [b]}]", "FLOW_INVALID", "lib/b.flow.yaml:3:30",
       "lib/b.flow.yaml:3: unknown key `neeeds`"},
      {"steps: [{id: a, set: {v: '${{ 1 + }}'}}]", "FLOW_INVALID", "lib/b.flow.yaml:3:31",
       "lib/b.flow.yaml:3: "},
      {"inputs: {n: {type: integer}}\nsteps: [{id: a, run: 'true'}]", "FLOW_INVALID",
       "flow_source:3:14", "`./lib/b.flow.yaml` needs the input `n`"},
      {"steps: [{id: a, flow: {uses: ./c.flow.yaml}}]", "FLOW_INVALID", "lib/b.flow.yaml:3:14",
       "lib/b.flow.yaml:3: `./c.flow.yaml` cannot be used"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.file);
    v1::StartRunRequest request;
    request.set_flow_source(
        absl::StrCat(kHead, "steps: [{id: a, flow: {uses: ./lib/b.flow.yaml}}]\n"));
    v1::FlowFile* file = request.add_files();
    file->set_path("lib/b.flow.yaml");
    file->set_source(absl::StrCat("beamline: flow/v1\nname: b\n", one.file, "\n"));
    const absl::Status status = client.Start(request).status();
    CAPTURE(status.message());
    CHECK(ReasonOf(status) == one.reason);
    REQUIRE(DetailsOf(status).violations.size() == 1);
    CHECK(DetailsOf(status).violations[0].field() == one.field);
    CHECK(status.message().find(one.message) != status.message().npos);

    v1::RegisterFlowRequest registration;
    registration.set_flow_source(request.flow_source());
    *registration.add_files() = *file;
    const bool of_this_daemon = status.message().find("route") != status.message().npos;
    CHECK(client.Register(registration).ok() == of_this_daemon);  // it may have the route later
  }
  CHECK(client.List({})->runs_size() == 0);
  // And a file that did not come at all.
  const absl::Status status =
      client.StartFlow(absl::StrCat(kHead, "steps: [{id: a, flow: {uses: ./gone.flow.yaml}}]\n"))
          .status();
  CHECK(ReasonOf(status) == "FLOW_INVALID");
  CHECK(DetailsOf(status).violations[0].reason() == "BL0410");
}

TEST_CASE_FIXTURE(Fixture, "a request whose run is there gets it, whatever is missing by now") {
  REQUIRE(listens);
  v1::StartRunRequest request;
  request.set_flow_source(absl::StrCat(kHead, kAsk));
  request.set_request_id("once");
  const auto first = client.Start(request);
  REQUIRE_MESSAGE(first.ok(), first.status().message());
  CHECK(client.WaitFor(first->run_id()) == v1::STATUS_SUCCEEDED);
  daemon.Signal(15);
  REQUIRE(daemon.AwaitExit() == 0);
  std::ofstream(config) << "grace: 1s\n";
  Beamlined later(directory.path(), {"--config", config});
  REQUIRE(later.AwaitSocket());
  Client now(later.socket());
  const auto again = now.Start(request);
  REQUIRE_MESSAGE(again.ok(), again.status().message());
  CHECK(again->run_id() == first->run_id());
  request.set_request_id("twice");
  CHECK(ReasonOf(now.Start(request).status()) == "FLOW_NOT_EXECUTABLE");
}

}  // namespace
}  // namespace beamline::rpc_testing
