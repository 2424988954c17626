// The screen of `top`: everything where there is room, what matters most where there is little.
#include "cli/top_text.h"

#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

v1::GetActivityResponse Busy() {
  v1::GetActivityResponse activity;
  activity.set_version("0.1.0");
  activity.mutable_started_at()->set_seconds(1000);
  activity.mutable_time()->set_seconds(4600);
  activity.set_running(12);
  activity.set_waiting(3);
  activity.mutable_total()->set_started(40);
  activity.mutable_total()->set_failed(2);
  activity.mutable_total()->set_succeeded(23);
  activity.mutable_total()->set_nano_usd(410'000'000);
  activity.mutable_last_minute()->set_started(6);
  activity.mutable_last_hour()->set_started(40);
  activity.set_slots(8);
  activity.set_slots_busy(8);
  activity.set_in_line(14);
  activity.set_tasks_open(1);
  activity.set_dead_letters(100'000);
  for (int i = 0; i < 10; ++i) {
    v1::ActiveRun* run = activity.add_oldest();
    run->set_run_id(absl::StrCat("01jjxqs8000000000000k3v9q", i));
    run->set_flow("article");
    run->mutable_started_at()->set_seconds(4500);
    run->set_under_way(i);
    *activity.add_busiest() = *run;
    activity.mutable_busiest(i)->set_run_id(absl::StrCat("01jjxqs8000000000000b4c5d", i));
  }
  v1::WorkerQueue* queue = activity.add_queues();
  queue->set_queue("gpu");
  queue->set_task("render");
  queue->set_waiting(4);
  queue->mutable_waiting_since()->set_seconds(4590);
  v1::WorkerLoad* worker = activity.add_workers();
  worker->set_id("w1\x1b[31m");
  worker->set_credit(4);
  worker->set_draining(true);
  activity.set_workers_total(3);
  return activity;
}

Stream Terminal() { return {.tty = true}; }

TEST_CASE("a high screen shows all of it") {
  const auto lines = TopLines(Busy(), {1.25, 0.5}, Terminal(), 80, 60);
  const std::string text = absl::StrJoin(lines, "\n");
  CHECK(lines[0] == "runs     12 running, 3 waiting, 0 pending, 0 paused");
  CHECK(lines[1] == "rate     1.2 started/s, 0.5 finished/s");
  CHECK(lines[3] == "total    40 started, 23 succeeded, 2 failed, 0 cancelled");
  CHECK(lines[4] == "spend    $0.00, 0 tokens in the last hour; $0.41, 0 tokens in all");
  CHECK(lines[5] == "people   1 approval waits, 100000 dead letters or more");
  CHECK(lines[6] == "slots    8 of 8 busy, 14 in line; 0 attempts under way");
  CHECK(lines[7] == "daemon   0.1.0, up 1h00m");
  CHECK(text.find("OLDEST  FLOW       FOR  UNDER WAY  SPENT") != std::string::npos);
  CHECK(text.find("gpu    render        4     10s        0") != std::string::npos);
  CHECK(text.find("w1[31m     0       4      0  draining\n… and 2 more") != std::string::npos);
}

TEST_CASE("every size gets lines that fit, the totals first") {
  for (const int height : {1, 2, 5, 8, 12, 16, 23, 40}) {
    for (const int width : {10, 40, 80, 200}) {
      const auto lines = TopLines(Busy(), {}, Terminal(), width, height);
      CHECK(static_cast<int>(lines.size()) <= height);
      CHECK(lines[0].rfind("runs", 0) == 0);
      for (const std::string& line : lines) CHECK(DisplayWidth(line) <= std::max(width, 60));
    }
  }
  const std::string text = absl::StrJoin(TopLines(Busy(), {}, Terminal(), 80, 23), "\n");
  for (const char* title : {"OLDEST", "QUEUE", "WORKER", "… and "}) {
    CHECK(text.find(title) != std::string::npos);
  }
  CHECK(text.find("BUSIEST") == std::string::npos);  // the last one gives way
}

TEST_CASE("runs that are both old and busy are shown once") {
  v1::GetActivityResponse activity = Busy();
  *activity.mutable_busiest() = activity.oldest();
  const std::string text = absl::StrJoin(TopLines(activity, {}, Terminal(), 80, 0), "\n");
  CHECK(text.find("OLDEST") != std::string::npos);
  CHECK(text.find("BUSIEST") == std::string::npos);
}

TEST_CASE("rates are between two looks at the same daemon") {
  v1::GetActivityResponse before = Busy(), now = Busy();
  now.mutable_time()->set_seconds(4602);
  now.mutable_total()->set_started(50);
  now.mutable_total()->set_cancelled(4);
  const auto rate = RateBetween(before, now);
  REQUIRE(rate);
  CHECK(rate->started == doctest::Approx(5));
  CHECK(rate->finished == doctest::Approx(2));
  now.mutable_started_at()->set_seconds(4601);  // it was started anew meanwhile
  CHECK_FALSE(RateBetween(before, now));
  CHECK_FALSE(RateBetween(before, before));
  CHECK(RateOfLastMinute(before).started == doctest::Approx(0.1));
}

}  // namespace
}  // namespace beamline::cli
