// The end of a step: asked for, forced, out of time; and what is left of it afterwards: nothing.
#include <doctest/doctest.h>

#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

using run::Outcome;

void Stop(ExecutorFixture& f, const ports::Attempt& attempt, bool force,
          run::StopReason reason = run::StopReason::kCancel) {
  f.executor->Stop(attempt.run, attempt.path, attempt.attempt, reason, force);
}

TEST_CASE("a step that is asked to end may tidy up first") {
  ExecutorFixture f;
  const ports::Attempt attempt = f.AttemptOf(
      f.Script("trap 'echo tidy > tidied; exit 0' TERM; echo $$ > pid; sleep 1000 & wait"));
  Reported reported = f.Start(attempt);
  const pid_t pid = PidIn(f.dir / "pid");
  REQUIRE(pid > 0);
  Stop(f, attempt, /*force=*/false);
  const run::ReportAttempt report = reported.Wait();
  CHECK(report.outcome == Outcome::kStopped);
  CHECK(report.error.kind == "stopped");
  CHECK(access((f.dir / "tidied").c_str(), F_OK) == 0);
  CHECK_FALSE(IsAlive(pid));
}

TEST_CASE("one that does not listen is killed after the grace period, its children too") {
  ExecutorFixture f(absl::Milliseconds(100));
  const ports::Attempt attempt = f.AttemptOf(f.Script(
      "trap '' TERM; (trap '' TERM; echo $BASHPID > child; while :; do sleep 1000; done) & "
      "while :; do wait; done"));
  Reported reported = f.Start(attempt);
  const pid_t child = PidIn(f.dir / "child");
  REQUIRE(child > 0);
  Stop(f, attempt, /*force=*/false, run::StopReason::kDeadline);
  const run::ReportAttempt report = reported.Wait();
  CHECK(report.outcome == Outcome::kStopped);
  CHECK(report.error.kind == "deadline");
  CHECK(Eventually([&] { return !IsAlive(child); }));
}

TEST_CASE("force does not wait") {
  ExecutorFixture f(absl::Hours(1));
  const ports::Attempt attempt =
      f.AttemptOf(f.Script("trap '' TERM; echo $$ > pid; while :; do sleep 1000; done"));
  Reported reported = f.Start(attempt);
  REQUIRE(PidIn(f.dir / "pid") > 0);
  Stop(f, attempt, /*force=*/false);  // would take the hour
  Stop(f, attempt, /*force=*/true);
  CHECK(reported.Wait().outcome == Outcome::kStopped);
}

TEST_CASE("a stopped process (SIGSTOP) hears that it shall end") {
  ExecutorFixture f(absl::Hours(1));
  const ports::Attempt attempt = f.AttemptOf(f.Script("echo $$ > pid; kill -STOP $$; sleep 1000"));
  Reported reported = f.Start(attempt);
  REQUIRE(PidIn(f.dir / "pid") > 0);
  Stop(f, attempt, /*force=*/false);
  CHECK(reported.Wait().outcome == Outcome::kStopped);
}

TEST_CASE("a time limit ends a step, and exit code 0 after it does not count") {
  ExecutorFixture f(absl::Milliseconds(100));
  ports::Attempt attempt = f.AttemptOf(f.Script("sleep 1000"));
  attempt.timeout = absl::Milliseconds(50);
  const absl::Time begin = absl::Now();
  run::ReportAttempt report = f.Start(attempt).Wait();
  CHECK(absl::Now() - begin >= attempt.timeout);  // never early
  CHECK(report.outcome == Outcome::kFailed);
  CHECK(report.error.kind == "timeout");
  CHECK(report.error.message == "timed out after 50ms");

  attempt.input = f.Script("trap 'exit 0' TERM; sleep 1000 & wait");
  report = f.Start(attempt).Wait();
  CHECK(report.outcome == Outcome::kFailed);
  CHECK(report.error.kind == "timeout");
}

TEST_CASE("stopping what has ended, or never was, changes nothing") {
  ExecutorFixture f;
  const ports::Attempt attempt = f.AttemptOf(f.Script("true"));
  Stop(f, attempt, /*force=*/true);
  Reported reported = f.Start(attempt);
  CHECK(reported.Wait().outcome == Outcome::kSucceeded);
  Stop(f, attempt, /*force=*/true);
  CHECK(f.Run(f.Script("true")).outcome == Outcome::kSucceeded);
}

TEST_CASE("when a step ends, what it left in the background ends too") {
  ExecutorFixture f;
  // `sleep` holds stdout open: the step does not wait for it.
  CHECK(f.Run(f.Script("sleep 1000 & echo $! > pid")).outcome == Outcome::kSucceeded);
  const pid_t pid = PidIn(f.dir / "pid");
  REQUIRE(pid > 0);
  CHECK(Eventually([&] { return !IsAlive(pid); }));
}

TEST_CASE("a process that escaped into a session of its own is found by its environment") {
  ExecutorFixture f;
  Reported other = f.Start(f.AttemptOf(f.Script("until [ -e go ]; do sleep 0.01; done")));
  CHECK(f.Run(f.Script("setsid bash -c 'echo $$ > pid; sleep 1000; true' & "
                       "until [ -s pid ]; do sleep 0.01; done"))
            .outcome == Outcome::kSucceeded);
  const pid_t pid = PidIn(f.dir / "pid");
  REQUIRE(pid > 0);
  CHECK(Eventually([&] { return !IsAlive(pid); }));
  CHECK_FALSE(other.Has());  // another step's processes are left alone
  CHECK(f.Run(f.Script("touch go")).outcome == Outcome::kSucceeded);
  CHECK(other.Wait().outcome == Outcome::kSucceeded);
}

TEST_CASE("one that also wiped its environment is killed when nothing else runs") {
  ExecutorFixture f;
  CHECK(f.Run(f.Script("setsid env -i /bin/bash -c 'echo $$ > pid; sleep 1000; true' & "
                       "until [ -s pid ]; do sleep 0.01; done"))
            .outcome == Outcome::kSucceeded);
  const pid_t pid = PidIn(f.dir / "pid");
  REQUIRE(pid > 0);
  CHECK(Eventually([&] { return !IsAlive(pid); }));
}

}  // namespace
}  // namespace beamline::exec
