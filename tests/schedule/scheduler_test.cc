// Triggers of registered flows over a clock that the test sets.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/schedule/world.h"

namespace beamline::schedule {
namespace {

using Lines = std::vector<std::string>;

// A flow whose runs go on until the test ends them. `trigger`: one entry of its list.
std::string Flow(const std::string& name, const std::string& trigger,
                 const std::string& more = "") {
  return absl::StrCat("beamline: flow/v1\nname: ", name, "\nlabels: {team: data}\n", more,
                      "triggers:\n  - ", trigger,
                      "\nsteps:\n  - {id: work, run: ./work}\n"
                      "outputs: {n: '${{ steps.work.output.n }}'}\n");
}

TEST_CASE("a timetable starts runs when its time has come, and not before") {
  World world;
  world.At("2031-05-17T12:00:00Z");
  world.Register(Flow("nightly",
                      "{cron: '0 3 * * *', tz: Europe/Berlin, inputs: {day: '${{ "
                      "trigger.scheduled_at[:10] }}', at: '${{ trigger.scheduled_at }}', kind: "
                      "'${{ trigger.kind }}'}}",
                      "inputs: {day: {type: string}, at: {type: string}, kind: {type: string}}\n"));
  CHECK(world.scheduler->pending() == 1);
  world.At("2031-05-18T00:59:59.999Z");
  CHECK(world.Runs().empty());
  world.At("2031-05-18T01:00:00Z");
  REQUIRE(world.Runs().size() == 1);
  const ports::RunRow run = world.Runs().front();
  CHECK(run.flow_name == "nightly");
  CHECK(run.actor == "trigger:cron");
  CHECK(run.labels == run::Labels{{"team", "data"}});
  CHECK(world.Inputs() ==
        Lines{R"({"day":"2031-05-18","at":"2031-05-18T03:00:00+02:00","kind":"cron"})"});
  CHECK(world.Decision("nightly") == "started");
  CHECK(world.Trigger("nightly").run == run.id);
  CHECK(world.bench.disk.ListDue()->empty());
  world.At("2031-05-18T23:00:00Z");
  CHECK(world.Runs().size() == 1);
}

TEST_CASE("a clock that is put forward by a day loses no start, one put back makes none again") {
  World world;
  world.At("2031-05-17T12:00:00Z");
  world.Register(Flow("nightly", "{cron: '0 3 * * *', overlap: allow}"));
  world.Pass(absl::Hours(24));  // over 03:00
  CHECK(world.Runs().size() == 1);
  world.Pass(absl::Hours(-24));
  world.At("2031-05-18T03:00:00Z");  // for the second time
  CHECK(world.Runs().size() == 1);
  world.At("2031-05-19T03:00:00Z");
  CHECK(world.Runs().size() == 2);
  CHECK(world.decisions == Lines{"nightly 18T03:00 started", "nightly 19T03:00 started"});
}

TEST_CASE("whatever steps of up to a day the clock makes, each day's start is made once") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    World world;
    world.At("2031-05-17T12:00:00Z");
    const absl::Time begin = world.bench.clock.now;
    world.Register(Flow("nightly", "{cron: '0 3 * * *', overlap: allow}"));
    absl::Time latest = begin;
    for (int step = 0; step < 60; ++step) {
      const int64_t minutes = static_cast<int64_t>(random() % (2 * 24 * 60 + 1)) - 24 * 60;
      const absl::Duration jump = absl::Minutes(random() % 4 == 0 ? minutes : 37);
      // Never further behind than a day: what is wrong by more is another case.
      world.bench.clock.now = std::max(world.bench.clock.now + jump, latest - absl::Hours(24));
      world.Settle();
      latest = std::max(latest, world.bench.clock.now);
    }
    std::set<std::string> made(world.decisions.begin(), world.decisions.end());
    CHECK(made.size() == world.decisions.size());
    int64_t days = 0;
    for (absl::Time at = begin + absl::Hours(15); at <= latest; at += absl::Hours(24)) ++days;
    CHECK(static_cast<int64_t>(made.size()) == days);
    CHECK(world.Runs().size() == made.size());
  }
}

TEST_CASE("a clock that was days ahead does not silence a timetable for days") {
  World world;
  world.At("2031-05-17T12:00:00Z");
  world.Register(Flow("hourly", "{cron: '0 * * * *', overlap: allow}"));
  world.At("2041-01-01T00:00:00Z");
  CHECK(world.Runs().size() == 1);
  world.At("2031-05-17T12:10:00Z");
  CHECK(world.Decision("hourly") ==
        "skipped: the clock was put back by days; the timetable begins anew");
  world.At("2031-05-17T13:00:00Z");
  CHECK(world.Runs().size() == 2);
}

TEST_CASE("overlap: skip passes over what comes due while the last run goes on, and says so") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly", "{cron: '0 * * * *'}"));
  world.At("2031-05-17T12:00:00Z");
  world.At("2031-05-17T13:00:00Z");
  CHECK(world.Runs().size() == 1);
  CHECK(world.Decision("hourly") == "skipped: the run before went on, and `overlap` is skip");
  world.EndRun();
  CHECK(world.Runs().size() == 1);
  world.At("2031-05-17T14:00:00Z");
  CHECK(world.Runs().size() == 2);
}

TEST_CASE("overlap: queue starts it when the last run has ended, also after a crash") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly",
                      "{cron: '0 * * * *', overlap: queue, inputs: {at: '${{ "
                      "trigger.scheduled_at }}'}}",
                      "inputs: {at: {type: string}}\n"));
  for (const char* time : {"12", "13", "14"}) {
    world.At(absl::StrCat("2031-05-17T", time, ":00:00Z"));
  }
  CHECK(world.Runs().size() == 1);
  CHECK(world.Decision("hourly") == "queued: the run before goes on");
  CHECK(world.bench.disk.ListDue()->size() == 2);
  SUBCASE("in one life of the daemon") {}
  SUBCASE("after a crash") { world.Restart(); }
  for (int run = 0; run < 2; ++run) {
    if (world.bench.executor->running().empty()) break;
    world.EndRun();
  }
  CHECK(world.Inputs().size() >= 2);
  CHECK(world.Inputs()[1] == R"({"at":"2031-05-17T13:00:00Z"})");
  CHECK(world.Runs().size() == 3);
  CHECK(world.Inputs()[2] == R"({"at":"2031-05-17T14:00:00Z"})");
  CHECK(world.bench.disk.ListDue()->empty());
}

TEST_CASE("overlap: allow starts runs beside one another") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly", "{cron: '0 * * * *', overlap: allow}"));
  world.At("2031-05-17T12:00:00Z");
  world.At("2031-05-17T13:00:00Z");
  CHECK(world.Runs().size() == 2);
}

TEST_CASE("catchup says what a daemon that was down makes up for") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  const std::string yaml = "{cron: '0 * * * *', overlap: allow, catchup: WHAT}";
  const auto with = [&](const char* what) {
    world.Register(Flow("hourly", absl::StrReplaceAll(yaml, {{"WHAT", what}})));
    world.bench.clock.now += absl::Hours(3);
    world.Restart();
  };
  SUBCASE("none") {
    with("none");
    CHECK(world.Runs().empty());
    CHECK(world.Decision("hourly") == "missed: the daemon was down, and `catchup` is none");
    world.At("2031-05-17T15:00:00Z");
    CHECK(world.Runs().size() == 1);
  }
  SUBCASE("last") {
    with("last");
    CHECK(world.decisions == Lines{"hourly 17T14:00 started"});
  }
  SUBCASE("all") {
    with("all");
    CHECK(world.decisions ==
          Lines{"hourly 17T12:00 started", "hourly 17T13:00 started", "hourly 17T14:00 started"});
  }
}

TEST_CASE("the end of another flow's run starts one, with its outputs at hand") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("deploy",
                      "{flow: build, inputs: {from: '${{ trigger.flow }}', n: '${{ "
                      "trigger.outputs.n }}', how: '${{ trigger.status }}'}}",
                      "inputs: {from: {type: string}, n: {}, how: {type: string}}\n"));
  world.Register(Flow("mourn", "{flow: build, when: failure}"));
  CHECK(world.scheduler->pending() == 0);  // no time of their own
  const std::string build =
      "beamline: flow/v1\nname: build\nsteps: [{id: work, run: ./work}]\n"
      "outputs: {n: '${{ steps.work.output.n }}'}\n";
  const run::RunId first = world.bench.Run(build);
  world.EndRun();
  REQUIRE(world.Runs("deploy").size() == 1);
  CHECK(world.Inputs("deploy") == Lines{R"({"from":"build","n":7,"how":"succeeded"})"});
  CHECK(world.Runs("deploy").front().actor == "trigger:flow");
  CHECK(world.Runs("mourn").empty());
  world.EndRun();  // deploy's

  world.bench.Run(build);
  world.EndRun(/*well=*/false);
  CHECK(world.Runs("deploy").size() == 1);
  CHECK(world.Runs("mourn").size() == 1);
  CHECK(world.bench.disk.ListDue()->empty());
  CHECK(world.bench.disk.GetRun(first).ok());
}

TEST_CASE("two flows that start each other do so sixteen times, and then it is told why no more") {
  World world;
  world.At("2031-05-17T12:00:00Z");
  world.Register(Flow("ping", "{flow: pong, overlap: allow}"));
  world.Register(Flow("pong", "{flow: ping, overlap: allow}"));
  world.bench.Run("beamline: flow/v1\nname: ping\nsteps: [{id: work, run: ./work}]\n");
  for (int i = 0; i < 17; ++i) world.EndRun();
  CHECK(world.bench.executor->running().empty());
  CHECK(world.Runs().size() == 17);
  CHECK(world.bench.disk.ListDue()->empty());
  CHECK(world.Decision("pong") ==
        "failed: a run of `ping` ended 16 `flow` triggers after the first run; do flows start each "
        "other in a circle?");
}

TEST_CASE("what follows a rehearsal is not started") {
  World world;
  world.At("2031-05-17T12:00:00Z");
  world.Register(Flow("deploy", "{flow: build}"));
  world.bench.llm_answers = run::Value::Json(R"({"responses":{}})");
  world.bench.Run("beamline: flow/v1\nname: build\nsteps: [{id: work, run: ./work}]\n");
  world.EndRun();
  CHECK(world.Runs("deploy").empty());
  CHECK(world.bench.disk.ListDue()->empty());
  CHECK(world.Decision("deploy") ==
        "skipped: the run was a rehearsal: its models were answered by a recording");
}

TEST_CASE("a start that cannot be made is told, and the next one is tried") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly",
                      "{cron: '0 * * * *', inputs: {n: '${{ trigger.scheduled_at[11:13] }}'}}",
                      "inputs: {n: {type: integer}}\n"));
  world.At("2031-05-17T12:00:00Z");
  CHECK(world.Runs().empty());
  CHECK(world.Decision("hourly").rfind("failed: input `n`", 0) == 0);
  CHECK(world.bench.disk.ListDue()->empty());
  world.At("2031-05-17T13:00:00Z");
  CHECK(world.decisions.size() == 2);
}

TEST_CASE("inputs that take too long on a busy machine are tried again, a few times") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly",
                      "{cron: '0 * * * *', inputs: {n: '${{ trigger.scheduled_at[11:13] }}'}}",
                      "inputs: {n: {type: string}}\n"));
  SUBCASE("and then the run starts") {
    world.evaluator.timeouts = 3;
    world.At("2031-05-17T12:00:00Z");
    CHECK(world.Inputs() == Lines{R"({"n":"12"})"});
    CHECK(world.decisions == Lines{"hourly 17T12:00 started"});
  }
  SUBCASE("or it is told that it cannot") {
    world.evaluator.timeouts = 1000;
    world.At("2031-05-17T12:00:00Z");
    world.Settle();
    CHECK(world.Runs().empty());
    CHECK(world.decisions == Lines{"hourly 17T12:00 failed"});
    CHECK(world.evaluator.timeouts == 995);
  }
}

TEST_CASE("while the daemon drains, starts stay owed") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly", "{cron: '0 * * * *'}"));
  world.draining = true;
  world.At("2031-05-17T12:00:00Z");
  CHECK(world.Runs().empty());
  CHECK(world.bench.disk.ListDue()->size() == 1);
  world.draining = false;
  world.bench.clock.now += absl::Minutes(30);
  world.Restart();
  CHECK(world.decisions == Lines{"hourly 17T12:00 started"});
}

TEST_CASE("another version keeps the timetable's place; a flow taken away starts nothing") {
  World world;
  world.At("2031-05-17T11:30:00Z");
  world.Register(Flow("hourly", "{cron: '0 * * * *', overlap: allow}"));
  world.At("2031-05-17T12:00:00Z");
  world.Register(Flow("hourly", "{cron: '0 * * * *', overlap: allow}", "description: new\n"));
  CHECK(world.Runs().size() == 1);
  world.At("2031-05-17T13:00:00Z");
  REQUIRE(world.Runs().size() == 2);
  CHECK(world.Runs()[0].flow_digest != world.Runs()[1].flow_digest);
  world.Register(Flow("hourly", "{cron: '30 * * * *', overlap: allow}"));
  world.At("2031-05-17T14:00:00Z");
  CHECK(world.Runs().size() == 3);  // 13:30
  world.Remove("hourly");
  CHECK(world.scheduler->pending() == 0);
  world.At("2031-05-17T20:00:00Z");
  CHECK(world.Runs().size() == 3);
}

}  // namespace
}  // namespace beamline::schedule
