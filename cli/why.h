// Why a step stands as it does, in sentences.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "beamline/v1/orchestrator.pb.h"
#include "flowspec/flow.h"
#include "proto/run_view.h"

namespace beamline::cli {

// Who waits for whose turn, as GetRun tells it.
using Turns = google::protobuf::RepeatedPtrField<v1::TurnWait>;

// Sentences about the step or item at `path`, the answer first and then its evidence: edges and
// what they came to, the condition, the attempts, the next retry, the idempotency key. `flow` may
// be null; the condition and the kinds of the edges are then left out.
std::vector<std::string> ExplainStep(const v1::Run& run, const flowspec::Flow* flow,
                                     std::string_view path, absl::Time now,
                                     const Turns& turns = Turns());

// Sentences about the run as a whole.
std::vector<std::string> ExplainRun(const v1::Run& run, absl::Time now,
                                    const Turns& turns = Turns());

// Paths of the steps that a person asks about first: parked, failed, waiting for a retry, running;
// a step that failed only because one below it did is left out.
std::vector<std::string> NotableSteps(const v1::Run& run);

// The path of the step that `name` means: a path, or an id that only one step has; "" if none.
std::string PathOfStep(const v1::Run& run, std::string_view name);
// All paths, for did-you-mean.
std::vector<std::string> AllPaths(const v1::Run& run);

}  // namespace beamline::cli
