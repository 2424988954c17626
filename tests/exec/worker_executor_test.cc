// Attempts, workers and what each is told, without a transport in between.
#include "daemon/exec/worker_executor.h"

#include <doctest/doctest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/worker_clock.h"
#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

using Kind = ports::WorkerResult::Kind;
using Taken = ports::ResultVerdict;

constexpr char kBody[] = R"({"queue":"q","task":"t","input":{"n":1},"heartbeat":"5s"})";

// What one worker was told.
class Link : public ports::WorkerLink {
 public:
  void Assign(const ports::Assignment& assignment) override { assigned.push_back(assignment); }
  void Cancel(const ports::AttemptKey& key, uint64_t epoch, ports::WorkerCancel why,
              bool force) override {
    cancelled.push_back({key, epoch, why, force});
  }
  void Drain(std::string_view) override { drained = true; }

  struct Cancelled {
    ports::AttemptKey key;
    uint64_t epoch;
    ports::WorkerCancel why;
    bool force;
  };
  std::vector<ports::Assignment> assigned;
  std::vector<Cancelled> cancelled;
  bool drained = false;
};

ports::WorkerResult Output(std::string json) { return {.output = std::move(json)}; }

struct Fixture {
  Fixture() { Make(); }
  ~Fixture() {
    for (uint64_t number : numbers) executor->Detach(number);
  }
  void Make() {
    WorkerExecutor::Options options;
    options.late = [this](const LateResult& result) { late.push_back(result); };
    executor = std::make_unique<WorkerExecutor>(std::move(options), sink, blobs);
  }

  Reported Start(const std::string& path = "step", int32_t attempt = 1,
                 const std::string& body = kBody,
                 absl::Duration timeout = absl::InfiniteDuration()) {
    ports::Attempt start;
    start.tenant = "local";
    start.path = path;
    start.attempt = attempt;
    start.input = body;
    start.idempotency_key = "key";
    start.timeout = timeout;
    Reported reported;
    executor->Start(std::move(start), reported.Callback());
    return reported;
  }

  struct Attached {
    uint64_t number = 0;
    std::shared_ptr<Link> link = std::make_shared<Link>();
    const ports::Assignment& last() const { return link->assigned.back(); }
  };
  Attached Attach(const std::string& id = "w", int32_t credit = 1) {
    Attached worker;
    auto number = executor->Attach(
        {.id = id, .tenant = "local", .serves = {{"q", "t"}}, .credit = credit}, worker.link);
    REQUIRE(number.ok());
    worker.number = *number;
    numbers.push_back(*number);
    return worker;
  }
  ports::Verdict Finish(const Attached& worker, ports::WorkerResult result) {
    return executor->Finish(worker.number, worker.last().key, worker.last().epoch,
                            std::move(result));
  }
  void Later(absl::Duration time) { executor->Expire(SteadyNow() + time); }

  MemorySink sink;
  MemoryBlobs blobs;
  std::vector<LateResult> late;
  std::vector<uint64_t> numbers;
  std::unique_ptr<WorkerExecutor> executor;
};

TEST_CASE_FIXTURE(Fixture, "an attempt waits for a worker, and its output is the worker's") {
  Reported reported = Start();
  CHECK(executor->waiting() == 1);
  const Attached worker = Attach();
  REQUIRE(worker.link->assigned.size() == 1);
  CHECK(worker.last().input == "{\"n\":1}");
  CHECK(worker.last().idempotency_key == "key");
  CHECK(worker.last().heartbeat == absl::Seconds(5));
  CHECK(worker.last().deadline == absl::InfiniteFuture());
  CHECK(Finish(worker, Output("[1]")).verdict == Taken::kTaken);
  const run::ReportAttempt report = reported.Wait();
  CHECK(report.outcome == run::Outcome::kSucceeded);
  CHECK(report.output.json() == "[1]");
}

TEST_CASE_FIXTURE(Fixture, "the second answer, and one under another epoch, are stale") {
  Reported reported = Start();
  const Attached worker = Attach();
  const ports::AttemptKey key = worker.last().key;
  const uint64_t epoch = worker.last().epoch;
  CHECK(executor->Finish(worker.number, key, epoch + 1, Output("1")).verdict == Taken::kStaleEpoch);
  CHECK_FALSE(reported.Has());
  CHECK(executor->Finish(worker.number, key, epoch, Output("2")).verdict == Taken::kTaken);
  CHECK(executor->Finish(worker.number, key, epoch, Output("3")).verdict == Taken::kStaleEpoch);
  CHECK(reported.Wait().output.json() == "2");
  REQUIRE(late.size() == 2);
  CHECK(late[1].worker == "w");
  CHECK(late[1].outcome == std::string("succeeded"));
}

TEST_CASE_FIXTURE(Fixture, "what can be no attempt is unknown") {
  const Attached worker = Attach();
  const auto verdict = [&](const ports::AttemptKey& key, uint64_t epoch) {
    return executor->Finish(worker.number, key, epoch, Output("1")).verdict;
  };
  CHECK(verdict({{}, "step", 1}, 0) == Taken::kUnknownAttempt);
  CHECK(verdict({{}, "step", 2}, (1 << 16) + 1) == Taken::kUnknownAttempt);
  CHECK(verdict({{}, "", 1}, (1 << 16) + 1) == Taken::kUnknownAttempt);
  CHECK(verdict({{}, "step", 1}, (1 << 16) + 1) == Taken::kStaleEpoch);  // before a restart, maybe
}

TEST_CASE_FIXTURE(Fixture, "an output that cannot be recorded fails the attempt and nothing else") {
  const Attached worker = Attach();
  const std::pair<ports::WorkerResult, const char*> bad[] = {
      {Output("{\"a\":"), "not JSON"},
      {Output("\"\xff\""), "not UTF-8"},
      {Output("\"" + std::string(ports::kWorkerValueBytesMax, 'x') + "\""), "at most"},
      {Output(std::string(1000, '[') + std::string(1000, ']')), "not JSON"},
      {{.kind = Kind::kOutputLines, .output = "no equals sign"}, "line 1"},
  };
  int32_t attempt = 0;
  for (const auto& [result, told] : bad) {
    const std::string why = told;  // clang 14 captures no structured binding
    CAPTURE(why);
    Reported reported = Start("step", ++attempt);
    const ports::Verdict verdict = Finish(worker, result);
    CHECK(verdict.verdict == Taken::kOutputInvalid);
    CHECK(absl::StrContains(verdict.message, why));
    const run::ReportAttempt report = reported.Wait();
    CHECK(report.outcome == run::Outcome::kFailed);
    CHECK(report.error.kind == "output");
  }
}

TEST_CASE_FIXTURE(Fixture, "lines of $BEAMLINE_OUTPUT are an object, and no output is null") {
  const Attached worker = Attach();
  Reported blanks = Start("blanks");
  Finish(worker, Output(" {\n \"a \\\" \\\\\" : [1,\t\"b c\"]}\n"));
  CHECK(blanks.Wait().output.json() == R"({"a \" \\":[1,"b c"]})");
  Reported lines = Start("a");
  Finish(worker, {.kind = Kind::kOutputLines, .output = "n:=7\nwho=you\n"});
  CHECK(lines.Wait().output.json() == R"({"n":7,"who":"you"})");
  Reported nothing = Start("b");
  Finish(worker, Output(""));
  CHECK(nothing.Wait().output.json() == "null");
}

TEST_CASE_FIXTURE(Fixture, "a failure keeps the worker's kind, but not one of the daemon's own") {
  const Attached worker = Attach();
  const std::pair<const char*, const char*> kinds[] = {
      {"unavailable", "unavailable"}, {"unknown", "worker"}, {"Not A Kind", "worker"}};
  int32_t attempt = 0;
  for (const auto& [said, kept] : kinds) {
    Reported reported = Start("step", ++attempt);
    Finish(worker,
           {.kind = Kind::kFailure, .error = {said, "why", 3}, .retry_after = absl::Seconds(9)});
    const run::ReportAttempt report = reported.Wait();
    CHECK(report.error.kind == kept);
    CHECK(report.error.exit_code == 3);
    CHECK(report.retry_after == absl::Seconds(9));
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "a body that names no queue, or is too large, fails before it is assigned") {
  const Attached worker = Attach();
  for (const std::string& body :
       {std::string(R"({"queue":"","task":"t","heartbeat":"5s"})"),
        std::string(R"({"queue":"q","task":7,"heartbeat":"5s"})"),
        std::string(R"({"queue":"q","task":"t","heartbeat":"1ms"})"),
        absl::StrCat(R"({"queue":"q","task":"t","heartbeat":"5s","input":")",
                     std::string(ports::kWorkerValueBytesMax, 'x'), "\"}")}) {
    const run::ReportAttempt report = Start("step", 1, body).Wait();
    CHECK(report.outcome == run::Outcome::kFailed);
    CHECK(report.error.kind == "input");
  }
  CHECK(worker.link->assigned.empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "a lost worker leaves the outcome unknown, and the next one takes over") {
  Reported first = Start("step", 1);
  const Attached lost = Attach("lost");
  executor->Detach(lost.number);
  CHECK(first.Wait().outcome == run::Outcome::kUnknown);
  CHECK(Finish(lost, Output("1")).verdict == Taken::kStaleEpoch);
  Reported second = Start("step", 2);
  const Attached other = Attach("other");
  CHECK(other.last().epoch > lost.last().epoch);
  CHECK(other.last().idempotency_key == lost.last().idempotency_key);
  CHECK(Finish(other, Output("2")).verdict == Taken::kTaken);
  CHECK(second.Wait().output.json() == "2");
}

TEST_CASE_FIXTURE(Fixture, "a silent worker's late result is kept, and recorded nowhere") {
  Reported reported = Start();
  const Attached worker = Attach();
  Later(absl::Seconds(6));
  const run::ReportAttempt report = reported.Wait();
  CHECK(report.outcome == run::Outcome::kUnknown);
  CHECK(absl::StrContains(report.error.message, "silent for 5s"));
  REQUIRE(worker.link->cancelled.size() == 1);
  CHECK(worker.link->cancelled[0].why == ports::WorkerCancel::kLeaseExpired);
  Reported next = Start("other");
  CHECK(worker.link->assigned.size() == 1);  // its only slot is still taken
  CHECK(Finish(worker, Output("\"late\"")).verdict == Taken::kStaleEpoch);
  REQUIRE(late.size() == 1);
  CHECK(late[0].output_sha256 != "");
  CHECK(late[0].output_bytes == 6);
  CHECK(worker.link->assigned.size() == 2);  // and free again
  CHECK_FALSE(next.Has());
}

TEST_CASE_FIXTURE(Fixture, "a timeout counts from the assignment; the worker is asked first") {
  Reported reported = Start("step", 1, kBody, absl::Seconds(2));
  Later(absl::Hours(1));  // nobody serves it: it waits
  CHECK_FALSE(reported.Has());
  const Attached worker = Attach();
  CHECK(worker.last().deadline < absl::InfiniteFuture());
  Later(absl::Seconds(3));
  REQUIRE(worker.link->cancelled.size() == 1);
  CHECK(worker.link->cancelled[0].why == ports::WorkerCancel::kTimeout);
  CHECK_FALSE(reported.Has());
  SUBCASE("it stops in time") {
    CHECK(Finish(worker, {.kind = Kind::kStopped}).verdict == Taken::kStaleEpoch);
  }
  SUBCASE("it says that it was done: too late") {
    CHECK(Finish(worker, Output("1")).verdict == Taken::kStaleEpoch);
    CHECK(late.size() == 1);
  }
  SUBCASE("it does not") { Later(absl::Seconds(60)); }
  const run::ReportAttempt report = reported.Wait();
  CHECK(report.outcome == run::Outcome::kFailed);
  CHECK(report.error.kind == "timeout");
}

TEST_CASE_FIXTURE(Fixture, "a stop reaches what waits, what runs, and what does not listen") {
  Reported waits = Start("waits");
  executor->Stop({}, "waits", 1, run::StopReason::kCancel, false);
  CHECK(waits.Wait().outcome == run::Outcome::kStopped);
  const Attached worker = Attach("w", 3);
  Reported listens = Start("listens"), done = Start("done"), deaf = Start("deaf");
  for (const char* path : {"listens", "done"}) {
    executor->Stop({}, path, 1, run::StopReason::kCancel, false);
  }
  CHECK(worker.link->cancelled.size() == 2);
  CHECK_FALSE(listens.Has());
  executor->Finish(worker.number, worker.link->assigned[0].key, worker.link->assigned[0].epoch,
                   {.kind = Kind::kStopped});
  CHECK(listens.Wait().outcome == run::Outcome::kStopped);
  // It had succeeded when the stop came: that is what is recorded.
  CHECK(executor
            ->Finish(worker.number, worker.link->assigned[1].key, worker.link->assigned[1].epoch,
                     Output("1"))
            .verdict == Taken::kTaken);
  CHECK(done.Wait().outcome == run::Outcome::kSucceeded);
  executor->Stop({}, "deaf", 1, run::StopReason::kCancel, /*force=*/true);
  CHECK(deaf.Wait().outcome == run::Outcome::kStopped);
  executor->Stop({}, "nobody", 1, run::StopReason::kCancel, true);
}

TEST_CASE_FIXTURE(Fixture, "rejected goes to another; when nobody will, it fails") {
  Reported reported = Start();
  const Attached first = Attach("first"), second = Attach("second");
  executor->Reject(first.number, first.last().key, first.last().epoch, "busy");
  REQUIRE(second.link->assigned.size() == 1);
  CHECK(second.last().epoch == first.last().epoch + 1);
  CHECK(Finish(first, Output("1")).verdict == Taken::kStaleEpoch);
  for (int i = 1; i < 10; ++i) {
    CHECK_FALSE(reported.Has());
    const Attached& one = second.link->assigned.size() >= first.link->assigned.size() &&
                                  second.last().epoch > first.last().epoch
                              ? second
                              : first;
    executor->Reject(one.number, one.last().key, one.last().epoch, "no room");
    Later(absl::Seconds(2));
  }
  const run::ReportAttempt report = reported.Wait();
  CHECK(report.error.kind == "rejected");
  CHECK(absl::StrContains(report.error.message, "no room"));
}

TEST_CASE_FIXTURE(Fixture, "what was begun and is given back has an unknown outcome") {
  Reported reported = Start();
  const Attached worker = Attach();
  executor->Accept(worker.number, worker.last().key, worker.last().epoch);
  executor->Reject(worker.number, worker.last().key, worker.last().epoch, "changed my mind");
  CHECK(reported.Wait().outcome == run::Outcome::kUnknown);
}

TEST_CASE_FIXTURE(Fixture,
                  "what a worker prints is the step's, in chunks, while it has the lease") {
  Reported reported = Start();
  const Attached worker = Attach();
  const std::string large(200'000, 'x');
  executor->Print(worker.number, worker.last().key, worker.last().epoch,
                  ports::OutputStream::kStderr, large);
  executor->Print(worker.number, worker.last().key, worker.last().epoch + 1,
                  ports::OutputStream::kStderr, "stale");
  CHECK(sink.Text(ports::OutputStream::kStderr) == large);
  CHECK(sink.largest_chunk() <= 64 << 10);
}

TEST_CASE_FIXTURE(Fixture, "workers and queues can be looked at") {
  const Attached worker = Attach("w", 2);
  Reported one = Start("one");
  executor->Progress(worker.number, worker.last().key, worker.last().epoch, 0.5, "half\x1b[31m");
  Reported other = Start("other", 1, R"({"queue":"nobody","task":"t","heartbeat":"5s"})");
  const ports::WorkerPoolStatus status = executor->Look("local");
  REQUIRE(status.workers.size() == 1);
  REQUIRE(status.workers[0].attempts.size() == 1);
  CHECK(status.workers[0].attempts[0].fraction == 0.5);
  CHECK(status.workers[0].attempts[0].message == "half");
  REQUIRE(status.queues.size() == 2);
  CHECK(status.queues[0].queue == "nobody");
  CHECK(status.queues[0].waiting == 1);
  CHECK(status.queues[0].workers == 0);
  CHECK(executor->Look("stranger").workers.empty());
}

TEST_CASE_FIXTURE(Fixture, "one stream at a time has an id; a drained worker is told so") {
  const Attached worker = Attach("w");
  CHECK(absl::IsAlreadyExists(
      executor->Attach({.id = "w", .tenant = "local", .serves = {{"q", "t"}}}, worker.link)
          .status()));
  CHECK(absl::IsNotFound(executor->DrainWorker("stranger", "w")));
  CHECK(executor->DrainWorker("local", "w").ok());
  CHECK(worker.link->drained);
  Reported reported = Start();
  CHECK(worker.link->assigned.empty());
  executor->DrainAll();
  CHECK(absl::IsUnavailable(
      executor->Attach({.id = "v", .tenant = "local", .serves = {{"q", "t"}}}, worker.link)
          .status()));
}

}  // namespace
}  // namespace beamline::exec
