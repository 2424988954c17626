// Keeps a number of runs of one flow going against a daemon: StartRun, then WaitRun, then the next.
//   load_client SOCKET FLOW_FILE IN_FLIGHT COUNT [--no-wait]
// Prints: runs, seconds, runs per second, latency p50 and p99 in milliseconds. With --no-wait runs
// are only started.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

class Load {
 public:
  Load(const std::string& socket, std::string source, int count, bool wait)
      : stub_(OrchestratorService::NewStub(
            grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()))),
        source_(std::move(source)),
        count_(count),
        wait_(wait) {}

  void Play(int in_flight) {
    const auto start = Clock::now();
    for (int i = 0; i < in_flight && i < count_; ++i) Next();
    std::unique_lock lock(mu_);
    done_.wait(lock, [&] { return finished_ == count_; });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::sort(latencies_.begin(), latencies_.end());
    std::printf("%d %.4f %.1f %.3f %.3f\n", count_, seconds, count_ / seconds,
                latencies_[latencies_.size() / 2] * 1e3,
                latencies_[latencies_.size() * 99 / 100] * 1e3);
  }

 private:
  struct Call {
    grpc::ClientContext start_context, wait_context;
    beamline::v1::StartRunRequest start;
    beamline::v1::StartRunResponse started;
    beamline::v1::WaitRunRequest wait;
    beamline::v1::WaitRunResponse waited;
    Clock::time_point begin;
  };

  void Next() {
    {
      std::lock_guard lock(mu_);
      if (begun_ == count_) return;
      ++begun_;
    }
    auto call = std::make_shared<Call>();
    call->start.set_flow_source(source_);
    call->start.set_inputs("{}");
    call->start.set_workspace("/tmp");
    call->begin = Clock::now();
    stub_->async()->StartRun(&call->start_context, &call->start, &call->started,
                             [this, call](const grpc::Status& status) {
                               Check(status);
                               if (!wait_) return Done(*call);
                               Wait(call);
                             });
  }

  void Wait(const std::shared_ptr<Call>& call) {
    call->wait.set_run_id(call->started.run_id());
    stub_->async()->WaitRun(&call->wait_context, &call->wait, &call->waited,
                            [this, call](const grpc::Status& status) {
                              Check(status);
                              Done(*call);
                            });
  }

  // The last to be counted is the last to touch anything here: Play returns then.
  void Done(const Call& call) {
    const double latency = std::chrono::duration<double>(Clock::now() - call.begin).count();
    Next();
    std::lock_guard lock(mu_);
    latencies_.push_back(latency);
    if (++finished_ == count_) done_.notify_all();
  }

  static void Check(const grpc::Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "load_client: %s\n", status.error_message().c_str());
    std::exit(1);
  }

  std::unique_ptr<OrchestratorService::Stub> stub_;
  const std::string source_;
  const int count_;
  const bool wait_;
  std::mutex mu_;
  std::condition_variable done_;
  int begun_ = 0;
  int finished_ = 0;
  std::vector<double> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: load_client SOCKET FLOW_FILE IN_FLIGHT COUNT [--no-wait]\n");
    return 2;
  }
  std::stringstream source;
  source << std::ifstream(argv[2]).rdbuf();
  const bool wait = argc < 6 || std::strcmp(argv[5], "--no-wait") != 0;
  Load(argv[1], source.str(), std::atoi(argv[4]), wait).Play(std::atoi(argv[3]));
}
