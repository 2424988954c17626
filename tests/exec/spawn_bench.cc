// How long 1,000 runs of /bin/true take with 8 at a time, beside ninja doing the same.
// Usage: exec_spawn_bench [memory to hold meanwhile, in MiB]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ports/mutex.h"
#include "tests/exec/executor_fixture.h"

namespace {

using namespace beamline;

constexpr int kSteps = 1000;
constexpr int kParallel = 8;

double BeamLineSeconds() {
  exec::ExecutorFixture fixture;
  fixture.Run(R"({"run": ["/bin/true"]})");  // the supervisor is there
  ports::Attempt attempt = fixture.AttemptOf(R"({"run": ["/bin/true"]})");
  ports::Mutex mu;
  int running = 0, failed = 0;
  const absl::Time begin = absl::Now();
  for (int i = 0; i < kSteps; ++i) {
    {
      ports::MutexLock lock(&mu);
      const auto has_room = [&running] { return running < kParallel; };
      mu.Await(has_room);
      ++running;
    }
    attempt.attempt = i;
    fixture.executor->Start(attempt, [&](run::ReportAttempt report) {
      ports::MutexLock lock(&mu);
      failed += report.outcome != run::Outcome::kSucceeded;
      --running;
    });
  }
  ports::MutexLock lock(&mu);
  const auto is_done = [&running] { return running == 0; };
  mu.Await(is_done);
  if (failed > 0) std::printf("%d of %d failed\n", failed, kSteps);
  return absl::ToDoubleSeconds(absl::Now() - begin);
}

// Negative: there is no ninja.
double NinjaSeconds() {
  if (std::system("command -v ninja >/dev/null") != 0) return -1;
  const exec::TemporaryDirectory dir;
  std::ofstream file(dir / "build.ninja");
  file << "rule t\n  command = /bin/true\n";
  for (int i = 0; i < kSteps; ++i) file << absl::StrCat("build o", i, ": t\n");
  file.close();
  const std::string command = absl::StrCat("ninja -C ", dir.path, " -j", kParallel, " >/dev/null");
  const absl::Time begin = absl::Now();
  if (std::system(command.c_str()) != 0) return -1;
  return absl::ToDoubleSeconds(absl::Now() - begin);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<char> ballast(size_t{argc > 1 ? std::stoul(argv[1]) : 0} << 20, 'x');
  for (int round = 0; round < 3; ++round) {
    const double ours = BeamLineSeconds(), ninja = NinjaSeconds();
    std::printf("%d steps: %.3f s (%.0f/s)", kSteps, ours, kSteps / ours);
    if (ninja > 0) std::printf(", ninja %.3f s, ratio %.2f", ninja, ours / ninja);
    std::printf("\n");
  }
  return ballast.size() % 2;  // so that it is not optimised away; MiB are even
}
