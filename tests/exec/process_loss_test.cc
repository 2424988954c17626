// Somebody is killed: the supervisor, the daemon, the executor. Nothing of a step may survive.
#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "daemon/exec/descendants.h"
#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

using run::Outcome;

// Three kinds of processes: the step's own, one in its group, one in a session of its own.
constexpr char kThreeKinds[] =
    "(trap '' HUP TERM; echo $BASHPID > group; while :; do sleep 1000; done) & "
    "setsid bash -c 'echo $$ > session; while :; do sleep 1000; done' & "
    "echo $$ > leader; trap '' TERM; while :; do wait; sleep 1000; done";

std::vector<pid_t> ThreePids(const std::string& dir) {
  return {PidIn(dir + "/leader"), PidIn(dir + "/group"), PidIn(dir + "/session")};
}

bool AllGone(const std::vector<pid_t>& pids) {
  return Eventually([&] { return std::none_of(pids.begin(), pids.end(), IsAlive); });
}

TEST_CASE("a killed supervisor: steps are killed, their outcome is unknown, the next one works") {
  ExecutorFixture f;
  Reported reported = f.Start(f.AttemptOf(f.Script(kThreeKinds)));
  const std::vector<pid_t> pids = ThreePids(f.dir.path);
  REQUIRE(*std::min_element(pids.begin(), pids.end()) > 0);
  const std::vector<pid_t> supervisors = ChildrenOf(getpid());
  REQUIRE(supervisors.size() == 1);
  kill(supervisors.front(), SIGKILL);

  const run::ReportAttempt report = reported.Wait();
  CHECK(report.outcome == Outcome::kUnknown);
  CHECK(report.error.kind == "unknown");
  CHECK(AllGone(pids));
  CHECK(f.Run(f.Script("true")).outcome == Outcome::kSucceeded);
}

TEST_CASE("a killed daemon leaves nothing behind") {
  const TemporaryDirectory dir;
  std::string program = EXEC_DOOMED_DAEMON, path = dir.path, script = kThreeKinds;
  char* argv[] = {program.data(), path.data(), script.data(), nullptr};
  pid_t daemon = 0;
  REQUIRE(posix_spawn(&daemon, argv[0], nullptr, nullptr, argv, environ) == 0);
  const std::vector<pid_t> pids = ThreePids(dir.path);
  CHECK(*std::min_element(pids.begin(), pids.end()) > 0);
  const std::vector<pid_t> supervisors = ChildrenOf(daemon);
  CHECK(supervisors.size() == 1);
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  CHECK(AllGone(pids));
  CHECK(AllGone(supervisors));
}

TEST_CASE("an executor that is destroyed kills, reports and ends its supervisor") {
  std::vector<pid_t> pids;
  Reported reported;
  {
    ExecutorFixture f(absl::Hours(1));
    reported = f.Start(f.AttemptOf(f.Script(kThreeKinds)));
    pids = ThreePids(f.dir.path);
    REQUIRE(*std::min_element(pids.begin(), pids.end()) > 0);
  }
  CHECK(reported.Has());
  CHECK(reported.Wait().outcome == Outcome::kStopped);
  CHECK(AllGone(pids));
  CHECK(ChildrenOf(getpid()).empty());
}

TEST_CASE("a supervisor that cannot run fails the step, with its name") {
  ExecutorFixture f;
  ProcessExecutor::Options options;
  options.work_dir = f.dir / "work";
  options.supervisor = {"/nonexistent/beamlined"};
  f.executor = std::make_unique<ProcessExecutor>(options, f.sink, f.blobs);
  const run::ReportAttempt report = f.Run(f.Script("true"));
  CHECK(report.error.kind == "spawn");
  CHECK(report.error.message ==
        "cannot run the supervisor /nonexistent/beamlined: No such file or directory");
}

}  // namespace
}  // namespace beamline::exec
