#include "tests/schedule/world.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/engine/values.h"

namespace beamline::schedule {

void World::Boot() {
  Hands hands{bench.disk, {bench.disk, bench.blobs, evaluator, bench.clock, bench.engine->flows()},
              {},         {},
              {},         {}};
  hands.write = [this](const std::function<void()>& work) { Operate(work); };
  hands.start = [this](engine::StartRequest request,
                       const std::function<void(absl::StatusOr<engine::Started>)>& done) {
    if (draining) return done(absl::UnavailableError("draining"));
    std::optional<absl::StatusOr<engine::Started>> result;
    Operate([&] {
      bench.engine->StartRun(std::move(request),
                             [&](absl::StatusOr<engine::Started> started) { result = started; });
      bench.Settle();
    });
    done(*result);
  };
  hands.decided = [this](const ports::TriggerRow& trigger, const ports::TriggerDecision& decision) {
    decisions.push_back(absl::StrCat(
        trigger.flow, " ", absl::FormatTime("%dT%H:%M", decision.scheduled_at, absl::UTCTimeZone()),
        " ", decision.decision));
  };
  hands.fatal = [](const absl::Status& status) { FAIL(status.message()); };
  scheduler = std::make_unique<Scheduler>(std::move(hands));
  REQUIRE(scheduler->Load().ok());
}

void World::Operate(const std::function<void()>& operation) {
  const bool cut = operations++ == cut_at;
  if (cut && !cut_after) throw PowerCut();
  operation();
  if (cut) throw PowerCut();
}

void World::Register(const std::string& yaml) {
  const auto loaded = bench.engine->flows().Load(yaml);
  for (const auto& finding : loaded.findings) MESSAGE(finding.code, ": ", finding.message);
  REQUIRE(loaded.flow != nullptr);
  const flowspec::Flow& flow = loaded.flow->flow();
  ports::Registration registration{
      "local", {flow.digest, flow.name, yaml}, "uid:1", "/work", bench.clock.now};
  for (const flowspec::Trigger& trigger : flow.triggers) {
    const char* kind = flowspec::TriggerKindName(trigger.kind);
    registration.triggers.push_back(
        {absl::StrCat(kind, " ", trigger.what), static_cast<int32_t>(registration.triggers.size()),
         kind, trigger.what, trigger.tz, flowspec::OverlapName(trigger.overlap),
         flowspec::CatchupName(trigger.catchup), flowspec::WhenName(trigger.when)});
  }
  REQUIRE(bench.disk.Register(registration).ok());
  scheduler->FlowChanged("local", flow.name);
  Settle();
}

void World::Remove(const std::string& name) {
  REQUIRE(bench.disk.Remove({"local", name, "uid:1", "", bench.clock.now}).ok());
  scheduler->FlowChanged("local", name);
  Settle();
}

void World::At(const std::string& time) {
  std::string error;
  REQUIRE_MESSAGE(absl::ParseTime(absl::RFC3339_full, time, &bench.clock.now, &error), error);
  Settle();
}

void World::Pass(absl::Duration time) {
  bench.clock.now += time;
  Settle();
}

void World::Settle() {
  for (int turn = 0; turn < 4; ++turn) {
    bench.Settle();
    scheduler->Step(absl::ZeroDuration());
  }
}

void World::Restart() {
  scheduler.reset();
  cut_at = -1;
  bench.Crash();
  Boot();
  Settle();
}

void World::EndRun(bool well) {
  const std::vector<std::string> running = bench.executor->running();
  REQUIRE_FALSE(running.empty());
  if (well) {
    bench.executor->Succeed(running.front(), R"({"n": 7})");
  } else {
    bench.executor->Fail(running.front(), {"exit", "exit status 1", 1});
  }
  bench.Settle();
  for (const ports::RunRow& row : Runs()) scheduler->RunEnded(row.id);
  Settle();
}

std::vector<ports::RunRow> World::Runs(const std::string& flow) const {
  auto rows = bench.disk.ListRuns({.flow_name = flow, .limit = 100'000});
  REQUIRE(rows.ok());
  std::reverse(rows->begin(), rows->end());
  return *rows;
}

std::vector<std::string> World::Inputs(const std::string& flow) const {
  std::vector<std::string> inputs;
  for (const ports::RunRow& row : Runs(flow)) {
    const auto events = bench.Log(row.id);
    inputs.push_back(
        *engine::Load(std::get<run::RunStarted>(events.front().fact).inputs, bench.blobs));
  }
  return inputs;
}

ports::TriggerRow World::Trigger(const std::string& flow) const {
  const auto rows = bench.disk.ListTriggers("local", flow);
  REQUIRE(rows.ok());
  REQUIRE_FALSE(rows->empty());
  return rows->front();
}

std::string World::Decision(const std::string& flow) const {
  const ports::TriggerDecision last = Trigger(flow).last;
  return last.reason.empty() ? last.decision : absl::StrCat(last.decision, ": ", last.reason);
}

}  // namespace beamline::schedule
