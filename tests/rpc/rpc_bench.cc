// 128 runs in flight, each started and awaited: what a call costs the daemon.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "beamline/v1/orchestrator.grpc.pb.h"
#include "tests/rpc/beamlined.h"

namespace beamline::rpc_testing {
namespace {

constexpr int kInFlight = 128;

// Processor time of a process so far, in ms.
double CpuMs(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string word;
  long ticks = 0;
  for (int field = 1; field <= 15 && stat >> word; ++field) {
    if (field >= 14) ticks += atol(word.c_str());
  }
  return 1000.0 * static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Callbacks hold it: the last of them may still be on its way out when Run returns.
class Load : public std::enable_shared_from_this<Load> {
 public:
  Load(const std::string& socket, std::string flow, int runs)
      : stub_(v1::OrchestratorService::NewStub(
            grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()))),
        flow_(std::move(flow)),
        left_(runs),
        unfinished_(runs) {}

  void Run() {
    for (int i = 0; i < kInFlight; ++i) Start();
    absl::MutexLock lock(&mu_);
    const auto done = [this]() { return unfinished_ == 0; };
    mu_.Await(absl::Condition(&done));
  }

 private:
  struct Flight {
    grpc::ClientContext start_context, wait_context;
    v1::StartRunRequest start;
    v1::StartRunResponse started;
    v1::WaitRunRequest wait;
    v1::WaitRunResponse waited;
  };

  void Start() {
    if (left_.fetch_sub(1) <= 0) return;
    auto flight = std::make_shared<Flight>();
    flight->start.set_flow_source(flow_);
    stub_->async()->StartRun(&flight->start_context, &flight->start, &flight->started,
                             [self = shared_from_this(), flight](const grpc::Status& status) {
                               if (!status.ok()) return Fail(status);
                               flight->wait.set_run_id(flight->started.run_id());
                               self->Wait(flight);
                             });
  }

  void Wait(const std::shared_ptr<Flight>& flight) {
    stub_->async()->WaitRun(&flight->wait_context, &flight->wait, &flight->waited,
                            [self = shared_from_this(), flight](const grpc::Status& status) {
                              if (!status.ok()) return Fail(status);
                              self->Start();
                              absl::MutexLock lock(&self->mu_);
                              --self->unfinished_;
                            });
  }

  static void Fail(const grpc::Status& status) {
    std::fprintf(stderr, "%s\n", status.error_message().c_str());
    std::abort();
  }

  const std::unique_ptr<v1::OrchestratorService::Stub> stub_;
  const std::string flow_;
  std::atomic<int> left_;
  absl::Mutex mu_;
  int unfinished_;
};

void Measure(const char* name, int steps, int runs) {
  TemporaryDirectory directory;
  Beamlined daemon(directory.path(), {"--log-level", "warn"});
  if (!daemon.AwaitSocket()) std::abort();
  std::string flow = "beamline: flow/v1\nname: seq\nsteps:\n";
  for (int i = 0; i < steps; ++i) absl::StrAppend(&flow, "  - {id: s", i, ", set: {x: 1}}\n");
  std::make_shared<Load>(daemon.socket(), flow, 1000)->Run();  // warm
  const double cpu_before = CpuMs(daemon.pid());
  const absl::Time before = absl::Now();
  std::make_shared<Load>(daemon.socket(), flow, runs)->Run();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - before);
  std::printf(
      "%s  %d in flight: %.0f runs/s, %.0f steps/s, %.1f us of the daemon's processor time a run\n",
      name, kInFlight, runs / seconds, steps * runs / seconds,
      1000 * (CpuMs(daemon.pid()) - cpu_before) / runs);
}

}  // namespace
}  // namespace beamline::rpc_testing

int main() {
  beamline::rpc_testing::Measure("seq1 ", 1, 20'000);
  beamline::rpc_testing::Measure("seq10", 10, 10'000);
}
