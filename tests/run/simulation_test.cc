// Seeds against the promises. BEAMLINE_SEEDS sets how many (default 20,000), BEAMLINE_SEED repeats
// one: BEAMLINE_SEED=17 run_simulation
#include "tests/run/simulation.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

namespace beamline::run {
namespace {

uint64_t Setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("every promise holds for every seed, and each seed plays the same twice") {
  const uint64_t first = Setting("BEAMLINE_SEED", 1);
  const uint64_t seeds =
      std::getenv("BEAMLINE_SEED") != nullptr ? 1 : Setting("BEAMLINE_SEEDS", 20'000);
  SimulationResult sum;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const SimulationResult result = Simulate(seed, Plant::kNone);
    INFO("repeat with: BEAMLINE_SEED=", seed, " run_simulation");
    REQUIRE_MESSAGE(result.violation.empty(), result.violation);
    REQUIRE(Simulate(seed, Plant::kNone).hash == result.hash);
    sum.events += result.events;
    sum.crashes += result.crashes;
    sum.duplicates += result.duplicates;
    sum.late += result.late;
    sum.early_timers += result.early_timers;
    sum.clock_steps += result.clock_steps;
    sum.finished += result.finished;
    sum.waiting += result.waiting;
    sum.signals += result.signals;
    sum.waits_ended += result.waits_ended;
    sum.rounds += result.rounds;
    sum.undone += result.undone;
    sum.held += result.held;
    sum.interventions += result.interventions;
    sum.reopened += result.reopened;
    sum.requeued += result.requeued;
    sum.letters += result.letters;
    sum.asked += result.asked;
    sum.decided += result.decided;
    sum.refused += result.refused;
    sum.approved += result.approved;
    sum.expired += result.expired;
    sum.rewound += result.rewound;
  }
  MESSAGE(seeds, " seeds: ", sum.events, " events, ", sum.crashes, " crashes, ", sum.duplicates,
          " repeated and ", sum.late, " late answers, ", sum.early_timers, " early timers, ",
          sum.clock_steps, " clock steps; ", sum.finished, " runs finished, ", sum.waiting,
          " wait for a person; ", sum.signals, " signals, ", sum.waits_ended, " waits ended, ",
          sum.rounds, " rounds decided, ", sum.undone, " steps undone, ", sum.held, " held, ",
          sum.interventions, " interventions, ", sum.reopened, " runs reopened, ", sum.requeued,
          " steps requeued, ", sum.letters, " dead letters left, ", sum.asked, " questions, ",
          sum.decided, " decisions, ", sum.refused, " refused, ", sum.approved, " approved, ",
          sum.expired, " expired, ", sum.rewound, " rounds more");
  if (seeds < 1000) return;
  // A simulation in which nothing happens proves nothing.
  const int floor = static_cast<int>(seeds);
  CHECK(sum.events > 5 * floor);
  CHECK(sum.crashes > floor / 2);
  CHECK(sum.duplicates > floor / 2);
  CHECK(sum.late > floor / 20);
  CHECK(sum.early_timers > floor / 50);
  CHECK(sum.clock_steps > floor / 4);
  CHECK(sum.waiting > floor / 50);
  CHECK(sum.signals > floor / 4);
  CHECK(sum.waits_ended > floor / 10);
  CHECK(sum.rounds > floor / 20);
  CHECK(sum.undone > floor / 50);
  CHECK(sum.held > floor / 50);
  CHECK(sum.interventions > floor / 2);
  CHECK(sum.reopened > floor / 5);
  CHECK(sum.requeued > floor / 2);
  CHECK(sum.letters > floor / 20);
  CHECK(sum.asked > floor / 10);
  CHECK(sum.decided > floor / 20);
  CHECK(sum.refused > floor / 20);
  CHECK(sum.approved > floor / 50);
  CHECK(sum.expired > floor / 200);
  CHECK(sum.rewound > floor / 100);
}

TEST_CASE("a planted defect is noticed") {
  for (const Plant plant : {Plant::kActBeforeSync, Plant::kForgetSynced, Plant::kAcceptStale,
                            Plant::kEarlyTimer, Plant::kRerunUnknown, Plant::kDecideUnseen}) {
    CAPTURE(static_cast<int>(plant));
    int noticed = 0;
    for (uint64_t seed = 1; seed <= 1000; ++seed) {
      if (!Simulate(seed, plant).violation.empty()) ++noticed;
    }
    CHECK(noticed > 10);
  }
}

}  // namespace beamline::run
