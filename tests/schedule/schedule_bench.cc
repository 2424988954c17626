// What 10,000 timetables cost while nothing is due: time of a core, and memory.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/schedule/scheduler.h"
#include "daemon/store/memory_blob_store.h"
#include "daemon/store/memory_store.h"

namespace {

using namespace beamline;  // NOLINT: a program of one file

constexpr int kTimetables = 10'000;
constexpr absl::Duration kMeasured = absl::Seconds(10);

class WallClock : public ports::Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  std::array<uint8_t, 10> Entropy() override { return {}; }
};

// Nothing comes due, so nothing is evaluated.
class NoEvaluator : public ports::Evaluator {
 public:
  void Evaluate(ports::Evaluation, std::function<void(absl::StatusOr<std::string>)> done) override {
    done(absl::CancelledError("nobody evaluates here"));
  }
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double ResidentMegabytes() {
  long size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

}  // namespace

int main() {
  store::MemoryStore store;
  store::MemoryBlobStore blobs;
  NoEvaluator evaluator;
  engine::FlowCache flows(16);
  WallClock clock;
  const absl::Time now = clock.Now();
  for (int i = 0; i < kTimetables; ++i) {
    // Never within the measurement: half a day from now, each at its own minute.
    const absl::CivilMinute due(absl::UTCTimeZone().At(now + absl::Hours(12)).cs);
    const std::string fields = absl::StrCat((due.minute() + i) % 60, " ", due.hour(), " * * *");
    const std::string name = absl::StrCat("flow-", i);
    (void)store.Register({"local",
                          {name, name, "source"},
                          "uid:1",
                          "/",
                          now,
                          {{"cron " + fields, 0, "cron", fields, "Europe/London"}}});
  }
  const double before = ResidentMegabytes();
  schedule::Hands hands{store, {store, blobs, evaluator, clock, flows}, {}, {}, {}, {}};
  schedule::Scheduler scheduler(std::move(hands));
  const absl::Time load = absl::Now();
  if (!scheduler.Load().ok()) return 1;
  const double load_ms = absl::ToDoubleMilliseconds(absl::Now() - load);
  const double memory = ResidentMegabytes() - before;
  scheduler.Start();
  absl::SleepFor(absl::Seconds(1));
  const double cpu = CpuSeconds();
  absl::SleepFor(kMeasured);
  const double used = (CpuSeconds() - cpu) / absl::ToDoubleSeconds(kMeasured);
  scheduler.Stop();
  std::printf("%d timetables: loaded in %.0f ms, %.1f MB; idle %.4f%% of a core (limit 1%%)\n",
              kTimetables, load_ms, memory, used * 100);
  return used < 0.01 ? 0 : 1;
}
