// What StartRun accepts, and what it refuses before anything is recorded.
#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kFlow[] =
    "beamline: flow/v1\n"
    "name: greet\n"
    "labels: {team: a, tier: low}\n"
    "inputs:\n"
    "  who: {type: string}\n"
    "  token: {type: string, sensitive: true, default: none}\n"
    "steps:\n"
    "  - {id: say, set: {text: 'hello ${{ inputs.who }}'}}\n";

struct Fixture {
  TemporaryDirectory directory;
  Beamlined daemon{directory.path()};
  bool listens = daemon.AwaitSocket();
  Client client{daemon.socket()};

  v1::StartRunRequest Request() const {
    v1::StartRunRequest request;
    request.set_flow_source(kFlow);
    request.set_inputs("{\"who\": \"ada\"}");
    return request;
  }
  // Starts nothing, and says why.
  Refused Refuse(const v1::StartRunRequest& request, absl::StatusCode code) {
    const absl::Status status = client.Start(request).status();
    CHECK(status.code() == code);
    CHECK(client.List({})->runs_size() == 0);
    return DetailsOf(status);
  }
};

TEST_CASE_FIXTURE(Fixture, "the same request id gives the same run") {
  REQUIRE(listens);
  v1::StartRunRequest request = Request();
  request.set_request_id("once");
  const auto first = client.Start(request);
  REQUIRE(first.ok());
  CHECK_FALSE(first->existing());
  // Written differently, it is still the same request; its trace is that of the first one.
  request.set_inputs("{ \"who\" :\"ada\"}");
  request.set_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  for (int i = 0; i < 2; ++i) {
    const auto again = client.Start(request);
    REQUIRE(again.ok());
    CHECK(again->existing());
    CHECK(again->run_id() == first->run_id());
    CHECK(again->trace_id() == first->trace_id());
    CHECK(client.WaitFor(first->run_id()) == v1::STATUS_SUCCEEDED);
  }

  request.set_inputs("{\"who\": \"bob\"}");
  const absl::Status reused = client.Start(request).status();
  CHECK(absl::IsInvalidArgument(reused));
  CHECK(ReasonOf(reused) == "REQUEST_ID_REUSED");
}

TEST_CASE_FIXTURE(Fixture, "a run has its caller's trace, labels of flow and request, defaults") {
  REQUIRE(listens);
  v1::StartRunRequest request = Request();
  request.set_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  v1::Label* label = request.add_labels();
  label->set_key("tier");
  label->set_value("high");
  request.set_workspace("/srv");
  const auto started = client.Start(request);
  REQUIRE(started.ok());
  CHECK(started->trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736");
  client.WaitFor(started->run_id());
  const auto events = client.AllEvents(started->run_id());
  REQUIRE(!events.empty());
  const v1::RunStarted& fact = events[0].run_started();
  CHECK(events[0].trace_id() == started->trace_id());
  CHECK(events[0].flow_id() == started->flow_id());
  CHECK(fact.workspace() == "/srv");
  REQUIRE(fact.labels_size() == 2);
  CHECK(fact.labels(0).value() == "a");
  CHECK(fact.labels(1).value() == "high");
  CHECK(fact.inputs().json().find("\"sensitive\"") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "every mistake of a flow is a violation with its place") {
  REQUIRE(listens);
  v1::StartRunRequest request;
  request.set_flow_source(
      "beamline: flow/v1\n"
      "name: bad\n"
      "steps:\n"
      "  - {id: a, set: {x: '${{ steps.b.output }}'}}\n"
      "  - {id: c, rum: 'true'}\n");
  const Refused refused = Refuse(request, absl::StatusCode::kInvalidArgument);
  CHECK(refused.reason == "FLOW_INVALID");
  CHECK(refused.domain == "beamline");
  REQUIRE(refused.violations.size() >= 2);
  for (const auto& violation : refused.violations) {
    CHECK(violation.field().rfind("flow_source:", 0) == 0);
    CHECK(violation.reason().rfind("BL", 0) == 0);
    CHECK(violation.description() != "");
  }
  CHECK(refused.violations[0].field().rfind("flow_source:4:", 0) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a valid flow that this release cannot run is told apart") {
  REQUIRE(listens);
  v1::StartRunRequest request;
  request.set_flow_source(
      "beamline: flow/v1\nname: later\nsteps:\n"
      "  - {id: mend, agent: {model: local/m, prompt: 'Mend it.'}}\n");
  CHECK(Refuse(request, absl::StatusCode::kInvalidArgument).reason == "FLOW_NOT_EXECUTABLE");
}

TEST_CASE_FIXTURE(Fixture, "wrong inputs are named, and none of their values is quoted") {
  REQUIRE(listens);
  v1::StartRunRequest request = Request();
  request.set_inputs("{\"whom\": \"ada\", \"token\": 12345}");
  const Refused refused = Refuse(request, absl::StatusCode::kInvalidArgument);
  CHECK(refused.reason == "INPUTS_INVALID");
  REQUIRE(!refused.violations.empty());
  for (const auto& violation : refused.violations) {
    CHECK(violation.field().rfind("inputs", 0) == 0);
    CHECK(violation.description().find("12345") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "what is too large is refused by its size") {
  REQUIRE(listens);
  const auto too_large = [&](const v1::StartRunRequest& request) {
    CHECK(Refuse(request, absl::StatusCode::kResourceExhausted).reason == "REQUEST_TOO_LARGE");
  };
  v1::StartRunRequest request = Request();
  request.set_flow_source(std::string((1 << 20) + 1, '#'));
  too_large(request);
  request = Request();
  request.set_inputs(std::string((4 << 20) + 1, ' '));
  too_large(request);
  request = Request();
  for (int i = 0; i < 65; ++i) request.add_labels()->set_key(absl::StrCat("k", i));
  too_large(request);
  request = Request();
  request.set_request_id(std::string(129, 'x'));
  too_large(request);
  request = Request();
  request.set_inputs(std::string(8 << 20, ' '));  // over what gRPC itself takes
  CHECK(absl::IsResourceExhausted(client.Start(request).status()));
}

TEST_CASE_FIXTURE(Fixture, "other fields have their rules, too") {
  REQUIRE(listens);
  v1::StartRunRequest request = Request();
  request.set_workspace("srv");
  CHECK(Refuse(request, absl::StatusCode::kInvalidArgument).reason == "ARGUMENT_INVALID");
  request = Request();
  request.add_labels();
  CHECK(Refuse(request, absl::StatusCode::kInvalidArgument).reason == "ARGUMENT_INVALID");
  request = Request();
  request.set_check_digest(std::string(64, '0'));
  const Refused refused = Refuse(request, absl::StatusCode::kFailedPrecondition);
  CHECK(refused.reason == "DIGEST_MISMATCH");
  REQUIRE(refused.metadata.size() == 1);
  request.set_check_digest(refused.metadata[0].second);  // what it is
  CHECK(client.Start(request).ok());
}

}  // namespace
}  // namespace beamline::rpc_testing
