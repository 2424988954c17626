// Figures of the SQLite store next to what the disk itself gives:
//   store_bench [DIRECTORY [RUNS]]      defaults: a temporary directory, 100000 runs
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/store/sqlite_store.h"
#include "runs.h"

namespace {

using namespace beamline;         // NOLINT
using namespace beamline::store;  // NOLINT

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

std::unique_ptr<SqliteStore> MustOpen(const std::string& directory) {
  auto store = SqliteStore::Open(directory);
  Must(store.status());
  return *std::move(store);
}

struct Quantiles {
  double p50_us, p99_us, max_us;
};

template <typename Once>
Quantiles Time(int rounds, Once once) {
  std::vector<double> us;
  for (int i = 0; i < rounds; ++i) {
    const absl::Time start = absl::Now();
    once(i);
    us.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
  }
  std::sort(us.begin(), us.end());
  return {us[us.size() / 2], us[us.size() * 99 / 100], us.back()};
}

Quantiles DiskSync(const std::string& directory) {
  const std::string path = directory + "/sync";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const std::string page(4096, 'x');
  Quantiles q = Time(3000, [&](int) {
    if (write(fd, page.data(), page.size()) != 4096 || fdatasync(fd) != 0) std::exit(1);
  });
  close(fd);
  unlink(path.c_str());
  return q;
}

void SingleRows(const std::string& directory, const Quantiles& disk) {
  auto store = MustOpen(directory + "/single");
  Must(store->Append({Start(1)}));
  for (const char* when : {"first", "reused log"}) {
    static uint64_t seq = 1;
    Quantiles q = Time(3000, [&](int) {
      const ports::RunEvents events = Progress(1, seq);
      Must(store->Append({&events, 1}));
      seq += 2;
    });
    std::printf("append of one row (%s): p50 %.0f us = %.2f fdatasync, p99 %.0f, max %.0f\n", when,
                q.p50_us, q.p50_us / disk.p50_us, q.p99_us, q.max_us);
  }
}

void Batches(const std::string& directory) {
  for (int size : {1, 10, 100, 1000}) {
    auto store = MustOpen(absl::StrCat(directory, "/batch", size));
    std::vector<ports::RunEvents> starts;
    for (int run = 0; run < size; ++run) starts.push_back(Start(run));
    Must(store->Append(starts));
    uint64_t seq = 1;
    const int rounds = std::max(20, 3000 / size);
    absl::Duration writing;
    for (int round = 0; round < rounds; ++round, seq += 2) {
      std::vector<ports::RunEvents> batch;
      for (int run = 0; run < size; ++run) batch.push_back(Progress(run, seq, 100));
      const absl::Time start = absl::Now();
      Must(store->Append(batch));
      writing += absl::Now() - start;
    }
    std::printf("%4d rows (2 events, 200 B) per append: %.0f rows/s, %.1f us a row\n", size,
                size * rounds / absl::ToDoubleSeconds(writing),
                absl::ToDoubleMicroseconds(writing) / (size * rounds));
  }
}

// Runs that go on side by side, so that each one's rows lie far apart.
void Recovery(const std::string& directory, int runs) {
  constexpr int kTogether = 1000;
  const std::string place = directory + "/recovery";
  {
    auto store = MustOpen(place);
    for (int first = 0; first < runs; first += kTogether) {
      std::vector<ports::RunEvents> batch;
      for (int run = first; run < first + kTogether; ++run) batch.push_back(Start(run));
      Must(store->Append(batch));
      for (uint64_t seq = 1; seq < 11; seq += 2) {
        batch.clear();
        for (int run = first; run < first + kTogether; ++run) batch.push_back(Progress(run, seq));
        Must(store->Append(batch));
      }
      batch.clear();
      for (int run = first; run < first + kTogether; ++run) {
        batch.push_back(Progress(run, 11));
        batch.back().events.pop_back();
      }
      Must(store->Append(batch));
    }
  }
  const absl::Time start = absl::Now();
  auto store = MustOpen(place);
  size_t seen = 0, events = 0;
  Must(store->ReadUnfinished([&](const ports::RunRow&, absl::StatusOr<std::vector<run::Event>> e) {
    Must(e.status());
    ++seen;
    events += e->size();
  }));
  std::printf("recovery: %zu runs, %zu events in %.2f s\n", seen, events,
              absl::ToDoubleSeconds(absl::Now() - start));
}

void PrintMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS", 0) == 0) std::printf("%s\n", line.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  TempDir temporary;
  const std::string directory = argc > 1 ? argv[1] : temporary.path();
  const Quantiles disk = DiskSync(directory);
  std::printf("fdatasync of a 4 KB append: p50 %.0f us, p99 %.0f, max %.0f\n", disk.p50_us,
              disk.p99_us, disk.max_us);
  SingleRows(directory, disk);
  Batches(directory);
  PrintMemory();
  Recovery(directory, argc > 2 ? std::atoi(argv[2]) : 100'000);
}
