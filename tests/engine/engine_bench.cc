// The engine over SQLite without gRPC: seq10 (ten dependent `set` steps), a wide foreach, recovery.
// Durability: WAL, synchronous=FULL. Printed beside it: what one fdatasync of 4 KB costs here.
#include <fcntl.h>
#include <unistd.h>

// The fakes of the tests check with doctest; here nothing but its runtime is wanted.
#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/engine/engine.h"
#include "daemon/store/memory_blob_store.h"
#include "daemon/store/sqlite_store.h"
#include "flowspec/check.h"
#include "flowspec/inputs.h"
#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

class RealClock : public ports::Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  std::array<uint8_t, 10> Entropy() override {
    std::array<uint8_t, 10> bytes{};
    const uint64_t n = ++count_;
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(n >> (8 * i));
    return bytes;
  }

 private:
  std::atomic<uint64_t> count_{0};
};

std::string Seq10() {
  std::string yaml = "beamline: flow/v1\nname: seq10\nsteps:\n  - {id: s1, set: {n: 1}}\n";
  for (int i = 2; i <= 10; ++i) {
    absl::StrAppend(&yaml, "  - {id: s", i, ", set: {n: '${{ steps.s", i - 1, ".output.n }}'}}\n");
  }
  return yaml;
}

double FdatasyncSeconds(const std::string& directory) {
  const std::string path = directory + "/sync";
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  const std::string block(4096, 'x');
  std::vector<double> seconds;
  for (int i = 0; i < 500; ++i) {
    const absl::Time start = absl::Now();
    CHECK(write(fd, block.data(), block.size()) == 4096);
    fdatasync(fd);
    seconds.push_back(absl::ToDoubleSeconds(absl::Now() - start));
  }
  close(fd);
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

struct Daemon {
  explicit Daemon(const std::string& directory) {
    auto opened = store::SqliteStore::Open(directory);
    CHECK(opened.ok());
    events = *std::move(opened);
    EngineOptions options;
    options.fatal = [](const absl::Status& s) {
      std::fprintf(stderr, "%s\n", s.ToString().c_str());
      std::abort();
    };
    options.run_ended = [this](const run::RunId&) {
      ports::MutexLock lock(&mu);
      ++ended;
    };
    engine = std::make_unique<Engine>(
        World{*events, blobs, evaluator, executor, vault, clock, meter}, std::move(options));
  }

  void StartRun(const std::shared_ptr<const CompiledFlow>& flow, const std::string& inputs = "{}") {
    StartRequest request{.flow = flow,
                         .inputs_json = flowspec::CheckInputs(flow->flow(), inputs).json,
                         .actor = "uid:1"};
    engine->StartRun(std::move(request), [](const absl::StatusOr<Started>& s) { CHECK(s.ok()); });
  }

  std::unique_ptr<store::SqliteStore> events;
  store::MemoryBlobStore blobs;
  InlineEvaluator evaluator;
  FakeExecutor executor;
  FakeVault vault;
  RealClock clock;
  FakeMeter meter;
  ports::Mutex mu;
  int64_t ended = 0;
  std::unique_ptr<Engine> engine;
};

// Keeps `in_flight` runs going until `count` have ended.
double Play(Daemon& daemon, const std::shared_ptr<const CompiledFlow>& flow, int in_flight,
            int count) {
  const absl::Time start = absl::Now();
  int64_t base;
  {
    ports::MutexLock lock(&daemon.mu);
    base = daemon.ended;
  }
  int started = 0;
  for (; started < in_flight && started < count; ++started) daemon.StartRun(flow);
  for (int64_t seen = 0; seen < count;) {
    int64_t now = 0;
    {
      ports::MutexLock lock(&daemon.mu);
      daemon.mu.Await([&] { return daemon.ended - base > seen; });
      now = daemon.ended - base;
    }
    for (int64_t i = seen; i < now && started < count; ++i, ++started) daemon.StartRun(flow);
    seen = now;
  }
  return absl::ToDoubleSeconds(absl::Now() - start);
}

void BenchSeq10(const std::string& directory) {
  const double sync = FdatasyncSeconds(directory);
  Daemon daemon(directory + "/seq10");
  daemon.engine->Start();
  const auto flow = daemon.engine->flows().Load(Seq10()).flow;
  CHECK(flow != nullptr);
  Play(daemon, flow, 16, 2000);  // the write-ahead log reaches its size
  for (int in_flight : {1, 8, 128}) {
    const int count = in_flight == 1 ? 500 : 6000;
    std::vector<double> steps, latency;
    for (int i = 0; i < 5; ++i) {
      const double seconds = Play(daemon, flow, in_flight, count);
      steps.push_back(count * 10 / seconds);
      latency.push_back(seconds * in_flight / count);
    }
    std::sort(steps.begin(), steps.end());
    std::sort(latency.begin(), latency.end());
    std::printf(
        "seq10, %3d in flight: %8.0f steps/s, run latency %6.2f ms = %5.2f x (10 fdatasync of %.0f "
        "us)\n",
        in_flight, steps[2], latency[2] * 1e3, latency[2] / (10 * sync), sync * 1e6);
  }
}

void BenchFan(const std::string& directory) {
  double per_item = 0;
  for (int items : {1'000, 10'000, 100'000}) {
    Daemon daemon(directory + absl::StrCat("/fan", items));
    daemon.engine->Start();
    const auto flow =
        daemon.engine->flows()
            .Load(
                "beamline: flow/v1\nname: fan\ninputs: {n: {type: array}}\nsteps:\n"
                "  - {id: each, foreach: {items: inputs.n}, set: {n: '${{ item }}'}}\n")
            .flow;
    CHECK(flow != nullptr);
    std::string list = "[0";
    for (int i = 1; i < items; ++i) absl::StrAppend(&list, ",", i);
    const absl::Time start = absl::Now();
    daemon.StartRun(flow, absl::StrCat("{\"n\":", list, "]}"));
    {
      ports::MutexLock lock(&daemon.mu);
      daemon.mu.Await([&] { return daemon.ended > 0; });
    }
    const double cost = absl::ToDoubleSeconds(absl::Now() - start) / items;
    if (per_item == 0) per_item = cost;
    std::printf("foreach of %6d `set` items, 8 at once: %6.1f us an item, %.2f x that of 1,000\n",
                items, cost * 1e6, cost / per_item);
  }
}

void BenchRecovery(const std::string& directory) {
  constexpr int kRuns = 100'000;
  const std::string path = directory + "/recovery";
  {
    Daemon daemon(path);
    daemon.engine->Start();
    const auto flow = daemon.engine->flows()
                          .Load(
                              "beamline: flow/v1\nname: wait\nsteps:\n  - {id: a, set: {n: 1}}\n  "
                              "- {id: b, run: 'true'}\n")
                          .flow;
    for (int i = 0; i < kRuns; ++i) daemon.StartRun(flow);
    while (daemon.engine->activity().runs < kRuns) absl::SleepFor(absl::Milliseconds(10));
    absl::SleepFor(absl::Seconds(2));
  }
  Daemon daemon(path);
  const absl::Time start = absl::Now();
  CHECK(daemon.engine->Recover().ok());
  std::printf("recovery of %d unfinished runs: %.2f s\n", kRuns,
              absl::ToDoubleSeconds(absl::Now() - start));
}

}  // namespace

int Main() {
  std::string directory = "/var/tmp/beamline-engine-bench-XXXXXX";
  CHECK(mkdtemp(directory.data()) != nullptr);
  BenchSeq10(directory);
  BenchFan(directory);
  BenchRecovery(directory);
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace beamline::engine

int main() { return beamline::engine::Main(); }
