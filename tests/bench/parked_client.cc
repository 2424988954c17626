// Starts many runs of one flow in one StartRuns call, or sends all of them a signal.
//   parked_client SOCKET start FLOW_FILE COUNT IDS_FILE    writes the ids of the runs
//   parked_client SOCKET signal NAME IN_FLIGHT IDS_FILE
// Prints: runs, seconds, runs per second.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "beamline/v1/orchestrator.grpc.pb.h"

namespace {

using beamline::v1::OrchestratorService;
using Clock = std::chrono::steady_clock;

void Check(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "parked_client: %s\n", status.error_message().c_str());
  std::exit(1);
}

void Report(size_t count, Clock::time_point start) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%zu %.4f %.1f\n", count, seconds, static_cast<double>(count) / seconds);
}

void Start(OrchestratorService::Stub& stub, const std::string& file, int count,
           const std::string& ids) {
  std::stringstream source;
  source << std::ifstream(file).rdbuf();
  beamline::v1::StartRunsRequest request;
  request.mutable_start()->set_flow_source(source.str());
  request.mutable_start()->set_inputs("{}");
  request.mutable_start()->set_workspace("/tmp");
  const auto start = Clock::now();
  grpc::ClientContext context;
  beamline::v1::StartRunsResponse response;
  auto stream = stub.StartRuns(&context, &response);
  for (int i = 0; i < count; ++i) {
    if (!stream->Write(request)) break;
  }
  stream->WritesDone();
  Check(stream->Finish());
  Report(response.runs().size(), start);
  std::ofstream out(ids);
  for (const auto& run : response.runs()) {
    if (run.run_id().empty()) {
      std::fprintf(stderr, "parked_client: refused: %s\n", run.message().c_str());
      std::exit(1);
    }
    out << run.run_id() << "\n";
  }
}

class Signals {
 public:
  Signals(OrchestratorService::Stub& stub, std::string name, std::vector<std::string> ids)
      : stub_(stub), name_(std::move(name)), ids_(std::move(ids)) {}

  void Send(size_t in_flight) {
    const auto start = Clock::now();
    for (size_t i = 0; i < in_flight; ++i) Next();
    std::unique_lock lock(mu_);
    done_.wait(lock, [&] { return answered_ == ids_.size(); });
    Report(ids_.size(), start);
  }

 private:
  struct Call {
    grpc::ClientContext context;
    beamline::v1::SignalRunRequest request;
    beamline::v1::SignalRunResponse response;
  };

  void Next() {
    auto call = std::make_shared<Call>();
    {
      std::lock_guard lock(mu_);
      if (sent_ == ids_.size()) return;
      call->request.set_run_id(ids_[sent_++]);
    }
    call->request.set_name(name_);
    stub_.async()->SignalRun(&call->context, &call->request, &call->response,
                             [this, call](const grpc::Status& status) {
                               Check(status);
                               Next();
                               // The last to be counted is the last to touch anything here.
                               std::lock_guard lock(mu_);
                               if (++answered_ == ids_.size()) done_.notify_all();
                             });
  }

  OrchestratorService::Stub& stub_;
  const std::string name_;
  const std::vector<std::string> ids_;
  std::mutex mu_;
  std::condition_variable done_;
  size_t sent_ = 0, answered_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: parked_client SOCKET start FLOW_FILE COUNT IDS_FILE\n"
                 "       parked_client SOCKET signal NAME IN_FLIGHT IDS_FILE\n");
    return 2;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);  // 100,000 ids
  const auto stub = OrchestratorService::NewStub(grpc::CreateCustomChannel(
      std::string("unix:") + argv[1], grpc::InsecureChannelCredentials(), arguments));
  if (std::string(argv[2]) == "start") {
    Start(*stub, argv[3], std::atoi(argv[4]), argv[5]);
    return 0;
  }
  std::vector<std::string> ids;
  std::ifstream in(argv[5]);
  for (std::string id; std::getline(in, id);) ids.push_back(id);
  Signals(*stub, argv[3], std::move(ids)).Send(static_cast<size_t>(std::atoi(argv[4])));
}
