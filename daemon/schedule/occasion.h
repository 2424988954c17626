// From a start that is owed to the request that makes it: what `trigger` is, and the inputs.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/engine/engine.h"
#include "daemon/ports/flow_registry.h"

namespace beamline::schedule {

// Runs that start each other by `flow` triggers, one after the other: the next one is not made. A
// circle of flows ends there.
inline constexpr int kChainMax = 16;

// What requests are made with. All of it outlives them.
struct Sources {
  ports::EventStore& events;
  ports::BlobStore& blobs;
  ports::Evaluator& evaluator;
  ports::Clock& clock;
  engine::FlowCache& flows;
  // The directory of a run whose flow was registered over the network.
  std::function<std::string(const run::RunId&)> workspace_of;
};

// The same for the same start, whatever happened since: a start that was made is found again by it.
std::string RequestIdOf(const ports::TriggerRow& trigger, const ports::DueStart& due);

// `trigger` as expressions see it, a JSON object. FailedPrecondition: the chain of triggers is
// kChainMax long. Aborted: the run that ended was a rehearsal, which starts nothing.
absl::StatusOr<std::string> OccasionJson(const Sources& sources, const ports::TriggerRow& trigger,
                                         const ports::DueStart& due);

// The request that makes the start, with inputs evaluated and checked. Waits for the evaluator.
// Errors say what is wrong in one line; Cancelled: the evaluator is about to end.
absl::StatusOr<engine::StartRequest> MakeRequest(const Sources& sources,
                                                 const ports::TriggerRow& trigger,
                                                 const ports::DueStart& due);

}  // namespace beamline::schedule
