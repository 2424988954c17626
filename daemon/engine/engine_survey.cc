// A look at the runs in memory, on the engine's thread: it has to be short.
#include <algorithm>
#include <utility>

#include "daemon/engine/engine.h"

namespace beamline::engine {
namespace {

// Runs whose state is looked at for the busiest; with 20,000 in memory a look takes 2 to 3 ms. The
// ids of all of them are compared, which touches hardly any run.
constexpr size_t kLookedAtMax = 10'000;

}  // namespace

void Engine::LookAtRuns(size_t runs_max, std::function<void(Survey)> done) {
  Post(SurveyMessage{runs_max, std::move(done)});
}

void Engine::Handle(const SurveyMessage& message) {
  Survey survey{.slots = options_.attempts_max,
                .slots_busy = options_.attempts_max - slots_free_,
                .in_line = waiting_.size()};
  const auto goes_on = [](const LiveRun& live) {
    return live.row_status == ports::RunStatus::kRunning;
  };
  // Ids grow with time: of a heap of the oldest so far, the youngest is on top.
  const auto older = [](const LiveRun* a, const LiveRun* b) {
    return a->state.start.run < b->state.start.run;
  };
  const auto busier = [](const LiveRun* a, const LiveRun* b) {
    return a->state.busy != b->state.busy ? a->state.busy > b->state.busy
                                          : a->state.start.run < b->state.start.run;
  };
  std::vector<const LiveRun*> oldest, busiest;
  const auto keep = [&](std::vector<const LiveRun*>* heap, const LiveRun* live, const auto& less) {
    heap->push_back(live);
    std::push_heap(heap->begin(), heap->end(), less);
    if (heap->size() <= message.runs_max) return;
    std::pop_heap(heap->begin(), heap->end(), less);
    heap->pop_back();
  };
  size_t looked_at = 0;
  for (const auto& [id, live] : runs_) {
    const bool old = oldest.size() < message.runs_max || id < oldest.front()->state.start.run;
    const bool look = looked_at < kLookedAtMax;
    if ((!old && !look) || !goes_on(*live)) continue;
    if (old) keep(&oldest, live.get(), older);
    if (look) {
      ++looked_at;
      keep(&busiest, live.get(), busier);
    }
  }
  // Of very many runs the long ones are looked at in any case.
  for (const LiveRun* live : oldest) {
    if (std::find(busiest.begin(), busiest.end(), live) == busiest.end()) {
      keep(&busiest, live, busier);
    }
  }
  const auto tell = [](std::vector<const LiveRun*>* heap, const auto& less,
                       std::vector<ActiveRun>* runs) {
    std::sort_heap(heap->begin(), heap->end(), less);
    for (const LiveRun* live : *heap) {
      const run::RunState& state = live->state;
      runs->push_back(
          {state.start.run, state.start.flow_name, state.started_at, state.busy, state.spent});
    }
  };
  tell(&oldest, older, &survey.oldest);
  tell(&busiest, busier, &survey.busiest);
  message.done(std::move(survey));
}

}  // namespace beamline::engine
