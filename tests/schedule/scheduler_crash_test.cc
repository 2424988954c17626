// The power fails between any two steps of a start: it is made once all the same.
#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "tests/schedule/world.h"

namespace beamline::schedule {
namespace {

const char kNightly[] =
    "beamline: flow/v1\nname: nightly\ntriggers:\n"
    "  - {cron: '0 3 * * *', catchup: last, inputs: {at: '${{ trigger.scheduled_at }}'}}\n"
    "inputs: {at: {type: string}}\nsteps: [{id: work, run: ./work}]\n";
const char kBuild[] = "beamline: flow/v1\nname: build\nsteps: [{id: work, run: ./work}]\n";
const char kDeploy[] =
    "beamline: flow/v1\nname: deploy\ntriggers: [{flow: build}]\n"
    "steps: [{id: work, run: ./work}]\n";

// Runs `act` with the power cut at each operation in turn, before and after it, and then at none;
// `check` looks at the world after the restart. How many operations there were.
template <typename Prepare, typename Act, typename Check>
int CutEverywhere(Prepare prepare, Act act, Check check) {
  for (int cut = 0;; ++cut) {
    bool reached = false;
    for (const bool after : {false, true}) {
      CAPTURE(cut);
      CAPTURE(after);
      World world;
      prepare(world);
      world.operations = 0;
      world.cut_at = cut;
      world.cut_after = after;
      try {
        act(world);
      } catch (const PowerCut&) {
        reached = true;
      }
      world.Restart();
      check(world);
    }
    if (!reached) return cut;
  }
}

TEST_CASE("a crash at any moment of a timetable's start neither loses it nor makes it twice") {
  const int operations = CutEverywhere(
      [](World& world) {
        world.At("2031-05-17T12:00:00Z");
        world.Register(kNightly);
      },
      [](World& world) { world.At("2031-05-18T03:00:00Z"); },
      [](World& world) {
        REQUIRE(world.Runs("nightly").size() == 1);
        CHECK(world.Inputs("nightly").front() == R"({"at":"2031-05-18T03:00:00Z"})");
        CHECK(world.bench.disk.ListDue()->empty());
        CHECK(world.Decision("nightly") == "started");
        world.At("2031-05-18T12:00:00Z");
        CHECK(world.Runs("nightly").size() == 1);
      });
  CHECK(operations == 3);  // owed, made, settled: fewer, and this test has tried nothing
}

TEST_CASE("a crash after another flow's run has ended neither loses the start nor makes it twice") {
  const int operations = CutEverywhere(
      [](World& world) {
        world.Register(kDeploy);
        world.bench.Run(kBuild);
      },
      [](World& world) { world.EndRun(); },
      [](World& world) {
        CHECK(world.Runs("deploy").size() == 1);
        CHECK(world.bench.disk.ListDue()->empty());
      });
  CHECK(operations == 2);  // made, settled: what is owed came with the end of the run
}

}  // namespace
}  // namespace beamline::schedule
