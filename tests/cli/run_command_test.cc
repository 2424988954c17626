// `run` and what goes with it, against a daemon that plays a script over a real socket.
#include <doctest/doctest.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "absl/time/clock.h"
#include "beamline/v1/orchestrator.grpc.pb.h"
#include "cli/verbs.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "run_events.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;
using grpc::ServerContext;
using grpc::ServerWriter;

grpc::Status Error(grpc::StatusCode code, const std::string& reason) {
  google::rpc::Status status;
  status.set_code(code);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("beamline");
  status.add_details()->PackFrom(info);
  return grpc::Status(code, "refused by the script", status.SerializeAsString());
}

// What it shall do is said before the first call and not changed afterwards: a call that its client
// gave up may still be at it.
class ScriptedRuns : public v1::OrchestratorService::Service {
 public:
  RunEvents events;
  std::vector<v1::TailOutputResponse> output;
  grpc::Status start_status;
  bool late = false;  // whether output that is followed comes after its step's end
  int breaks = 0;     // how often the event stream breaks after the first event
  v1::StartRunRequest started;
  std::atomic<int> cancels{0};

  grpc::Status Ping(ServerContext*, const v1::PingRequest*, v1::PingResponse* response) override {
    response->set_version(BEAMLINE_VERSION);
    response->set_protocol("v1");
    return grpc::Status::OK;
  }
  grpc::Status StartRun(ServerContext*, const v1::StartRunRequest* request,
                        v1::StartRunResponse* response) override {
    started = *request;
    response->set_run_id(RunEvents::kId);
    return start_status;
  }
  grpc::Status ResolveRun(ServerContext*, const v1::ResolveRunRequest* request,
                          v1::ResolveRunResponse* response) override {
    if (request->name() != "@latest") return Error(grpc::StatusCode::NOT_FOUND, "RUN_NOT_FOUND");
    response->set_run_id(RunEvents::kId);
    return grpc::Status::OK;
  }
  grpc::Status CancelRun(ServerContext*, const v1::CancelRunRequest*,
                         v1::CancelRunResponse* response) override {
    ++cancels;
    response->set_status(v1::STATUS_RUNNING);
    return grpc::Status::OK;
  }
  grpc::Status StreamExecutionEvents(
      ServerContext* context, const v1::StreamExecutionEventsRequest* request,
      ServerWriter<v1::StreamExecutionEventsResponse>* writer) override {
    for (const v1::ExecutionEvent& event : events.events()) {
      if (event.seq() <= request->after_seq()) continue;
      v1::StreamExecutionEventsResponse response;
      *response.add_events() = event;
      writer->Write(response);
      if (breaks > 0 && breaks-- > 0) return Error(grpc::StatusCode::UNAVAILABLE, "DRAINING");
    }
    return AwaitEnd(context, request->follow());
  }
  grpc::Status TailOutput(ServerContext* context, const v1::TailOutputRequest* request,
                          ServerWriter<v1::TailOutputResponse>* writer) override {
    // As the real daemon does it: what is followed comes a little late.
    if (request->follow() && late) absl::SleepFor(absl::Milliseconds(200));
    for (const v1::TailOutputResponse& chunk : output) {
      if (chunk.next_offset() > request->offset()) writer->Write(chunk);
    }
    return AwaitEnd(context, request->follow());
  }

 private:
  // A stream that follows a run ends with it.
  grpc::Status AwaitEnd(ServerContext* context, bool follow) {
    while (follow && !events.View().finished() && !context->IsCancelled()) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    return grpc::Status::OK;
  }
};

struct Daemon {
  Daemon() {
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("GITHUB_ACTIONS");
    std::string name = (fs::temp_directory_path() / "beamline-test-XXXXXX").string();
    directory = mkdtemp(name.data());
    context.out.writer = &out;
    context.err.writer = &err;
    context.socket = (directory / "d.sock").string();
    context.data_dir = directory.string();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + context.socket, grpc::InsecureServerCredentials());
    builder.RegisterService(&runs);
    server = builder.BuildAndStart();
  }
  ~Daemon() {
    server->Shutdown(std::chrono::system_clock::now());
    fs::remove_all(directory);
  }

  // Runs a flow whose file has this text.
  int Run(const std::string& flow, const std::map<std::string, std::string>& flags = {}) {
    const std::string file = (directory / "a.flow.yaml").string();
    std::ofstream(file) << flow;
    Arguments arguments;
    arguments.Add("FLOW", file);
    for (const auto& [name, value] : flags) arguments.Add(name, value);
    return RunFlow(arguments, context);
  }

  fs::path directory;
  StringWriter out, err;
  Context context;
  ScriptedRuns runs;
  std::unique_ptr<grpc::Server> server;
};

constexpr char kHello[] = R"(beamline: flow/v1
name: hello
inputs: {who: {type: string, default: world}}
steps:
  - id: greet
    env: {WHO: '${{ inputs.who }}'}
    run: echo "hello $WHO"
)";

void PlayHello(ScriptedRuns& runs) {
  runs.events.Start("hello", {{.id = "greet"}}).Attempt("greet").After(30).Succeeded("greet");
  runs.events.Outputs("{\"said\":\"hello\"}").Finish(v1::STATUS_SUCCEEDED);
  v1::TailOutputResponse& chunk = runs.output.emplace_back();
  chunk.set_path("greet");
  chunk.set_stream(v1::OUTPUT_STREAM_STDOUT);
  chunk.set_data("hello world\n");
  chunk.set_next_offset(12);
}

TEST_CASE_FIXTURE(Daemon, "run: progress on stderr, the flow's outputs on stdout") {
  PlayHello(runs);
  CHECK(Run(kHello, {{"input", "who=you"}}) == kExitOk);
  CHECK(out.text() == "{\n  \"said\": \"hello\"\n}\n");
  CHECK(err.text().find("greet | hello world\n") != std::string::npos);
  CHECK(err.text().find("✔ hello succeeded in 30ms\n") != std::string::npos);
  CHECK(runs.started.flow_source() == kHello);
  CHECK(runs.started.inputs() == R"({"who":"you"})");
  CHECK(runs.started.workspace() == directory.string());
  CHECK(runs.started.request_id().size() == 32);
}

TEST_CASE_FIXTURE(Daemon, "run: what a step prints comes before its end, and once") {
  SUBCASE("that is read in time") { runs.late = false; }
  SUBCASE("that comes after the end") { runs.late = true; }
  PlayHello(runs);
  CHECK(Run(kHello) == kExitOk);
  const size_t printed = err.text().find("greet | hello world\n");
  CHECK(printed < err.text().find("greet | ✔ 30ms\n"));
  CHECK(err.text().find("hello world", printed + 15) == std::string::npos);
}

TEST_CASE_FIXTURE(Daemon, "run: the last line names the next command") {
  PlayHello(runs);
  CHECK(Run(kHello) == kExitOk);
  CHECK(err.text().ends_with("→ beamline runs show k3v9qz\n"));
}

TEST_CASE_FIXTURE(Daemon, "run: --jq picks from the whole run") {
  PlayHello(runs);
  context.jq = ".steps[0].status";
  CHECK(Run(kHello) == kExitOk);
  CHECK(out.text() == "succeeded\n");
}

TEST_CASE_FIXTURE(Daemon, "run: a stream that breaks is taken up where it broke") {
  PlayHello(runs);
  runs.breaks = 2;
  context.format = Format::kJsonl;
  CHECK(Run(kHello) == kExitOk);
  CHECK(out.text().find("\"attempts\":[{\"n\":1,\"status\":\"succeeded\"") != std::string::npos);
}

TEST_CASE_FIXTURE(Daemon, "run: the exit code is the run's") {
  runs.events.Start("hello", {{.id = "greet"}}).Attempt("greet").Failed("greet", 2);
  runs.events.Finish(v1::STATUS_FAILED);
  CHECK(Run(kHello) == kExitFailed);
  CHECK(err.text().find("→ beamline why k3v9qz") != std::string::npos);
}

TEST_CASE_FIXTURE(Daemon, "run: a run that waits for a person") {
  runs.events.Start("hello", {{.id = "greet"}}).Attempt("greet").FailedForNow("greet", 1);
  runs.events.Parked("greet", "outcome unknown");
  CHECK(Run(kHello) == kExitWaiting);
}

TEST_CASE_FIXTURE(Daemon, "run: the client's timeout leaves the run alone") {
  runs.events.Start("hello", {{.id = "greet"}}).Attempt("greet");
  CHECK(Run(kHello, {{"timeout", "200ms"}}) == kExitTimeout);
  CHECK(runs.cancels == 0);
}

TEST_CASE_FIXTURE(Daemon, "run: mistakes show before the daemon is asked") {
  CHECK(Run("beamline: flow/v1\nname: x\nsteps:\n  - {id: a, rnu: 'true'}\n") == kExitInvalid);
  CHECK(err.text().find("rnu") != std::string::npos);
  CHECK(Run(kHello, {{"input", "whom=you"}}) == kExitInvalid);
  CHECK(err.text().find("whom") != std::string::npos);
  CHECK(runs.started.flow_source().empty());
}

TEST_CASE_FIXTURE(Daemon, "run: what the daemon refuses is told with its reason") {
  runs.start_status = Error(grpc::StatusCode::INVALID_ARGUMENT, "REQUEST_ID_REUSED");
  CHECK(Run(kHello, {{"idempotency-key", "k"}}) == kExitConflict);
  CHECK(err.text().find("refused by the script  [REQUEST_ID_REUSED]") != std::string::npos);
}

TEST_CASE_FIXTURE(Daemon, "run: a JUnit report") {
  PlayHello(runs);
  const std::string file = (directory / "report.xml").string();
  CHECK(Run(kHello, {{"junit", file}}) == kExitOk);
  std::ifstream report(file);
  const std::string xml(std::istreambuf_iterator<char>(report), {});
  CHECK(xml.find("<testcase classname=\"hello\" name=\"greet\" time=\"0.030\"/>") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Daemon, "runs show, tail and cancel name a run alike") {
  PlayHello(runs);
  Arguments latest;
  latest.Add("RUN", "@latest");
  CHECK(RunsShow(latest, context) == kExitOk);
  CHECK(out.text().find("✔ greet") != std::string::npos);
  CHECK(out.text().find("outputs   {\"said\":\"hello\"}") != std::string::npos);
  CHECK(Tail(latest, context) == kExitOk);
  CHECK(out.text().ends_with("greet | hello world\n"));
  CHECK(Cancel(latest, context) == kExitOk);
  CHECK(runs.cancels == 1);
  Arguments other;
  other.Add("RUN", "zzz");
  CHECK(RunsShow(other, context) == kExitNotFound);
  CHECK(RunsShow({}, context) == kExitUsage);  // nobody is there to pick one
}

}  // namespace
}  // namespace beamline::cli
