// The same fold as the engine's; nothing of it stays.
#include "daemon/rpc/folded_run.h"

#include <limits>
#include <utility>

#include "daemon/run/evolve.h"

namespace beamline::rpc {

absl::StatusOr<FoldedRun> FoldRun(const Backend& backend, const ports::RunRow& row) {
  auto source = backend.events.GetFlow(row.flow_digest);
  if (!source.ok()) return source.status();
  const engine::FlowCache::Loaded loaded = backend.engine.flows().Load(source->source);
  if (loaded.flow == nullptr) {
    return absl::DataLossError("the flow of the run cannot be read any more");
  }
  const auto events = backend.events.Read(row.id, 0, std::numeric_limits<size_t>::max());
  if (!events.ok()) return events.status();
  FoldedRun folded{run::RunState(loaded.flow->plan), std::move(source->source)};
  for (const run::Event& event : *events) {
    folded.state = run::Evolve(std::move(folded.state), event);
  }
  return folded;
}

}  // namespace beamline::rpc
