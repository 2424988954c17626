// The queue of workers by itself: turns, credit, leases, on a clock that the test sets.
#include "daemon/exec/worker_queue.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

namespace beamline::exec {
namespace {

using Grant = WorkerQueue::Grant;

constexpr absl::Duration kBeat = absl::Seconds(30);
const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

run::RunId Run(uint8_t n) {
  run::RunId id;
  id.bytes[15] = n;
  return id;
}

struct Fixture {
  WorkerQueue queue{absl::Seconds(30)};
  absl::Time now = kStart;

  void Add(uint64_t job, uint8_t run = 1, const std::string& task = "t",
           absl::Duration heartbeat = kBeat) {
    queue.Add(job, {"local", "q", task}, Run(run), 1 << 16, heartbeat);
  }
  void Attach(uint64_t worker, int32_t credit, std::vector<std::string> tasks = {"t"}) {
    std::vector<std::pair<std::string, std::string>> serves;
    for (std::string& task : tasks) serves.emplace_back("q", std::move(task));
    queue.Attach(worker, "local", serves, credit, now);
  }
  std::vector<uint64_t> Jobs() {
    std::vector<uint64_t> jobs;
    while (const auto grant = queue.Next(now)) jobs.push_back(grant->job);
    return jobs;
  }
};

using Ids = std::vector<uint64_t>;

TEST_CASE_FIXTURE(Fixture,
                  "no worker has more than its credit, and what it has shapes what it gets") {
  for (uint64_t job = 1; job <= 5; ++job) Add(job);
  CHECK(Jobs().empty());
  Attach(1, 2);
  CHECK(Jobs() == Ids{1, 2});
  CHECK(queue.waiting() == 3);
  queue.Finish(1);
  CHECK(Jobs() == Ids{3});
  queue.SetCredit(1, 1);  // below what it has: nothing is taken back
  queue.Finish(2);
  CHECK(Jobs().empty());
  queue.Finish(3);
  CHECK(Jobs() == Ids{4});
  queue.SetCredit(1, 3);
  CHECK(Jobs() == Ids{5});
}

TEST_CASE_FIXTURE(Fixture, "runs take turns, and a run's jobs keep their order") {
  for (uint64_t job = 1; job <= 100; ++job) Add(job, 1);
  Add(201, 2);
  Add(202, 2);
  Add(301, 3);
  Attach(1, 7);
  CHECK(Jobs() == Ids{1, 201, 301, 2, 202, 3, 4});
}

TEST_CASE_FIXTURE(Fixture, "tasks take turns, and so do workers") {
  for (uint64_t job = 1; job <= 4; ++job) Add(job, 1, "a");
  for (uint64_t job = 5; job <= 6; ++job) Add(job, 1, "b");
  Attach(1, 2, {"a", "b"});
  Attach(2, 2, {"a"});
  std::map<uint64_t, std::set<uint64_t>> jobs_of;
  while (const auto grant = queue.Next(now)) jobs_of[grant->worker].insert(grant->job);
  CHECK(jobs_of[1] == std::set<uint64_t>{1, 5});
  CHECK(jobs_of[2] == std::set<uint64_t>{2, 3});
}

TEST_CASE_FIXTURE(Fixture, "a worker gets only what it serves, of its own tenant") {
  Add(1, 1, "other");
  queue.Add(2, {"stranger", "q", "t"}, Run(2), 1 << 16, kBeat);
  Attach(1, 10);
  CHECK(Jobs().empty());
  const auto lines = queue.Lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].name.task == "other");
  CHECK(lines[0].workers == 0);
  CHECK(lines[0].waiting == 1);
  CHECK(lines[0].first == 1);
  CHECK(lines[1].workers == 1);
}

TEST_CASE_FIXTURE(Fixture, "every lease of a job has a higher epoch than the one before") {
  Add(1);
  Attach(1, 1);
  Attach(2, 1);
  const auto first = queue.Next(now);
  REQUIRE(first.has_value());
  CHECK(first->epoch == (1 << 16) + 1);
  CHECK(queue.LeaseOf(first->worker, 1) == first->epoch);
  queue.Return(1, now, absl::Seconds(1));
  CHECK(queue.LeaseOf(first->worker, 1) == 0);
  const auto second = queue.Next(now);
  REQUIRE(second.has_value());
  CHECK(second->worker != first->worker);  // who gave it back is left alone for a while
  CHECK(second->epoch == first->epoch + 1);
}

TEST_CASE_FIXTURE(Fixture, "a worker that rejects rests, then is asked again") {
  Add(1);
  Attach(1, 1);
  REQUIRE(queue.Next(now).has_value());
  queue.Return(1, now, absl::Seconds(1));
  CHECK_FALSE(queue.Next(now).has_value());
  CHECK(queue.NextLook() == now + absl::Seconds(1));
  now += absl::Seconds(1);
  queue.Expire(now);
  CHECK(queue.Next(now).has_value());
}

TEST_CASE_FIXTURE(Fixture, "a silent worker loses its leases one heartbeat after its last word") {
  Add(1, 1, "t", absl::Seconds(5));
  Add(2, 1, "t", absl::Seconds(20));
  Attach(1, 3);
  CHECK(Jobs() == Ids{1, 2});
  CHECK(queue.NextLook() == now + absl::Seconds(5));
  now += absl::Seconds(4);
  queue.Hear(1, now);
  now += absl::Seconds(4);
  CHECK(queue.Expire(now).silent.empty());
  now += absl::Seconds(1);
  CHECK(queue.Expire(now).silent == Ids{1});
  CHECK(queue.IsGivenUp(1));
  CHECK(queue.Expire(now).silent.empty());  // once
  Add(3);
  CHECK(Jobs().empty());  // nothing for the silent
  queue.Hear(1, now);
  CHECK(Jobs() == Ids{3});
  Add(4);
  CHECK(Jobs().empty());  // it may still be busy with 1
  queue.Finish(1);
  CHECK(Jobs() == Ids{4});
}

TEST_CASE_FIXTURE(Fixture, "an idle worker that is silent is given nothing until it speaks") {
  Attach(1, 1);
  now += absl::Seconds(30);
  queue.Expire(now);
  Add(1);
  CHECK(Jobs().empty());
  queue.Hear(1, now);
  CHECK(Jobs() == Ids{1});
}

TEST_CASE_FIXTURE(Fixture, "when it was us who did not listen, nobody is silent") {
  Add(1);
  Attach(1, 1);
  CHECK(Jobs() == Ids{1});
  now += absl::Hours(8);  // the machine slept
  queue.Forgive(now);
  CHECK(queue.Expire(now).silent.empty());
}

TEST_CASE_FIXTURE(Fixture, "a worker that leaves takes its leases with it") {
  for (uint64_t job = 1; job <= 3; ++job) Add(job);
  Attach(1, 2);
  CHECK(Jobs() == Ids{1, 2});
  queue.GiveUp(2);
  const auto ended = queue.Detach(1);
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].job == 1);
  CHECK_FALSE(ended[0].given_up);
  CHECK(ended[1].given_up);
  CHECK(Jobs().empty());
  Attach(2, 5);
  CHECK(Jobs() == Ids{3});
  CHECK(queue.Detach(1).empty());
}

TEST_CASE_FIXTURE(Fixture, "alarms ring once, and not for what is over") {
  for (uint64_t job = 1; job <= 3; ++job) Add(job, 1, "t", absl::Hours(1));
  Attach(1, 3);
  CHECK(Jobs().size() == 3);
  for (uint64_t job = 1; job <= 3; ++job) queue.SetAlarm(job, now + absl::Seconds(job));
  queue.Finish(2);
  CHECK(queue.NextLook() == now + absl::Seconds(1));
  now += absl::Seconds(5);
  CHECK(queue.Expire(now).alarms == Ids{1, 3});
  CHECK(queue.Expire(now).alarms.empty());
}

TEST_CASE_FIXTURE(Fixture, "what waits can be withdrawn, from anywhere in its line") {
  for (uint64_t job = 1; job <= 4; ++job) Add(job);
  CHECK(queue.Withdraw(1));
  CHECK(queue.Withdraw(3));
  CHECK_FALSE(queue.Withdraw(3));
  Attach(1, 1);
  CHECK(Jobs() == Ids{2});
  CHECK_FALSE(queue.Withdraw(2));  // it is leased
  CHECK(queue.Withdraw(4));
  queue.Finish(2);
  CHECK(Jobs().empty());
}

TEST_CASE_FIXTURE(Fixture, "lines that nobody uses are forgotten") {
  for (uint64_t job = 1; job <= 1000; ++job) {
    Add(job, 1, std::to_string(job));
    CHECK(queue.Withdraw(job));
  }
  CHECK(queue.Lines().empty());
}

TEST_CASE_FIXTURE(Fixture, "a draining worker finishes what it has and gets nothing more") {
  Add(1);
  Attach(1, 5);
  CHECK(Jobs() == Ids{1});
  queue.Drain(1);
  Add(2);
  CHECK(Jobs().empty());
  queue.Finish(1);
  CHECK(Jobs().empty());
  CHECK(queue.Describe(1).draining);
}

// Whatever happens in whatever order: no job is lost, none is leased twice at once, and no worker
// has more than its credit.
TEST_CASE("a thousand random histories keep the invariants") {
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    uint64_t state = seed;
    const auto random = [&](uint64_t below) {
      state = state * 6364136223846793005 + 1442695040888963407;
      return (state >> 33) % below;
    };
    WorkerQueue queue(absl::Seconds(30));
    absl::Time now = kStart;
    std::set<uint64_t> waiting;
    std::map<uint64_t, uint64_t> leased;  // job → worker
    std::map<uint64_t, size_t> credit;    // worker → credit
    uint64_t last_job = 0, last_worker = 0;
    for (int step = 0; step < 200; ++step) {
      now += absl::Milliseconds(random(3000));
      const uint64_t what = random(8);
      if (what <= 2) {
        queue.Add(++last_job, {"local", "q", std::to_string(random(3))},
                  Run(static_cast<uint8_t>(random(4))), 1 << 16, absl::Seconds(10));
        waiting.insert(last_job);
      } else if (what == 3) {
        credit[++last_worker] = random(4);
        queue.Attach(last_worker, "local", {{"q", "0"}, {"q", std::to_string(1 + random(2))}},
                     static_cast<int32_t>(credit[last_worker]), now);
      } else if (what == 4 && last_worker > 0) {
        const uint64_t worker = 1 + random(last_worker);
        for (const auto& ended : queue.Detach(worker)) CHECK(leased.erase(ended.job) == 1);
        credit.erase(worker);
      } else if (what == 5 && !leased.empty()) {
        auto any = leased.begin();
        std::advance(any, static_cast<ptrdiff_t>(random(leased.size())));
        queue.Finish(any->first);
        leased.erase(any);
      } else if (what == 6 && last_worker > 0) {
        queue.Hear(1 + random(last_worker), now);
      } else if (last_job > 0) {
        const uint64_t job = 1 + random(last_job);
        CHECK(queue.Withdraw(job) == (waiting.erase(job) == 1));
      }
      queue.Expire(now);
      while (const std::optional<Grant> grant = queue.Next(now)) {
        CHECK(waiting.erase(grant->job) == 1);
        leased[grant->job] = grant->worker;
        size_t has = 0;
        for (const auto& [job, worker] : leased) has += worker == grant->worker;
        CHECK(has <= credit.at(grant->worker));
      }
      REQUIRE(queue.waiting() == waiting.size());
    }
  }
}

}  // namespace
}  // namespace beamline::exec
