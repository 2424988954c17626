// What is counted while it happens: runs by status, what the last hour brought, and the runs that
// stand out.
#include "daemon/engine/tally.h"

#include <doctest/doctest.h>

#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

using ports::RunStatus;

constexpr char kTwo[] =
    "beamline: flow/v1\nname: two\nsteps:\n  - {id: a, run: 'true'}\n  - {id: b, run: 'true'}\n";
constexpr char kWide[] =
    "beamline: flow/v1\nname: wide\nsteps:\n"
    "  - {id: each, foreach: {items: [1, 2, 3], max_parallel: 3}, run: 'true'}\n";

uint64_t Count(const Tally& tally, RunStatus status) {
  return tally.Look(absl::FromUnixSeconds(1'700'000'000)).runs[static_cast<size_t>(status)];
}

Survey Look(Bench& bench, size_t runs_max) {
  Survey survey;
  bench.engine->LookAtRuns(runs_max, [&](Survey found) { survey = std::move(found); });
  bench.Settle();
  return survey;
}

TEST_CASE("what is over a minute and an hour old is forgotten, the total is not") {
  Tally tally;
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  tally.Started(RunStatus::kRunning, now);
  tally.Moved(RunStatus::kRunning, RunStatus::kFailed, now);
  tally.Spent({.requests = 2, .input_tokens = 10, .output_tokens = 5, .nano_usd = 7}, now);
  tally.Spent({.requests = 1, .input_tokens = 1}, now);
  for (const auto& [after, in_minute, in_hour] : {std::tuple(absl::Seconds(0), 1, 1),
                                                  {absl::Seconds(59), 1, 1},
                                                  {absl::Seconds(60), 0, 1},
                                                  {absl::Minutes(59), 0, 1},
                                                  {absl::Minutes(61), 0, 0}}) {
    const Tally::Sums sums = tally.Look(now + after);
    CHECK(sums.last_minute.failed == in_minute);
    CHECK(sums.last_hour.started == in_hour);
    CHECK(sums.total.started == 1);
    CHECK(sums.total.failed == 1);
    CHECK(sums.total.nano_usd == 7);
    CHECK(sums.total.tokens == 16);
    CHECK(sums.total.requests == 3);
    CHECK(sums.total.unpriced == 1);
  }
}

TEST_CASE("a slot of the ring is not taken for the one an hour before") {
  Tally tally;
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  tally.Started(RunStatus::kRunning, now);
  tally.Started(RunStatus::kRunning, now + absl::Hours(1));
  CHECK(tally.Look(now + absl::Hours(1)).last_hour.started == 1);
}

TEST_CASE("runs are counted by status from their start over a restart to their end") {
  Bench bench;
  const run::RunId first = bench.Run(kTwo), second = bench.Run(kTwo);
  CHECK(Count(bench.engine->tally(), RunStatus::kRunning) == 2);
  bench.executor->SucceedOf(first, "a");
  bench.Settle();
  bench.executor->SucceedOf(first, "b");
  bench.Settle();
  CHECK(bench.StatusOf(first) == RunStatus::kSucceeded);
  CHECK(Count(bench.engine->tally(), RunStatus::kRunning) == 1);
  CHECK(bench.engine->tally().Look(bench.clock.now).total.succeeded == 1);

  bench.engine->Intervene(second, "uid:1", run::PauseRun{{"", "p1", "h"}},
                          [](const absl::Status&) {});
  bench.Settle();
  CHECK(Count(bench.engine->tally(), RunStatus::kRunning) == 0);
  CHECK(Count(bench.engine->tally(), RunStatus::kPaused) == 1);

  bench.Crash();
  bench.Settle();
  CHECK(Count(bench.engine->tally(), RunStatus::kPaused) == 1);
  CHECK(bench.engine->tally().Look(bench.clock.now).total.started == 0);
}

TEST_CASE("the oldest and the busiest runs stand out, those that are over do not") {
  Bench bench(2);
  const run::RunId old = bench.Run(kTwo);
  bench.Pass(absl::Seconds(1));
  const run::RunId wide = bench.Run(kWide);
  bench.Pass(absl::Seconds(1));
  const run::RunId young = bench.Run(kTwo);
  Survey survey = Look(bench, 2);
  REQUIRE(survey.oldest.size() == 2);
  CHECK(survey.oldest[0].run == old);
  CHECK(survey.oldest[0].flow == "two");
  CHECK(survey.oldest[1].run == wide);
  REQUIRE(survey.busiest.size() == 2);
  CHECK(survey.busiest[0].run == wide);
  CHECK(survey.busiest[0].under_way == 3);
  CHECK(survey.slots == 2);
  CHECK(survey.slots_busy == 2);
  CHECK(survey.in_line == 3);

  bench.executor->SucceedOf(old, "a");
  bench.Settle();
  bench.engine->CancelRun(old, "uid:1", "", true, [](const absl::Status&) {});
  bench.Settle();
  survey = Look(bench, 2);
  REQUIRE(survey.oldest.size() == 2);
  CHECK(survey.oldest[0].run == wide);
  CHECK(survey.oldest[1].run == young);
}

}  // namespace
}  // namespace beamline::engine
