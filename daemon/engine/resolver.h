// ResolveStep: evaluates what a step's expressions come to. A job is cut out of a run's state on
// the engine's thread; working it off needs nothing but the job, so it may happen anywhere.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/engine/compiled_flow.h"
#include "daemon/engine/scope.h"
#include "daemon/engine/values.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/evaluator.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/meter.h"
#include "daemon/run/command.h"
#include "daemon/run/effect.h"
#include "daemon/run/state.h"

namespace beamline::engine {

struct ResolveJob {
  std::shared_ptr<const CompiledFlow> flow;
  std::string tenant;
  int32_t step = -1;     // -1: the run's outputs
  bool is_fan = false;   // a foreach as a whole, not one of its items
  bool decided = false;  // `if` was evaluated before (items of a foreach)
  bool context = false;  // `vars` or `env` are read
  absl::Time now;
  run::ReportResolution report;             // path, phase, attempt; the rest is filled in
  std::vector<flowspec::ExprIndex> wanted;  // what has to be evaluated, but for `foreach.key`
  Scope scope;
  LazyText raw_output;     // kLeave: what the children came to
  bool rehearsal = false;  // the run's models are answered by a recording
};

// The job of a ResolveStep effect. REQUIRES: the effect is still owed.
ResolveJob MakeResolveJob(std::shared_ptr<const CompiledFlow> flow, const run::RunState& state,
                          run::NodeIndex node, const run::ResolveStep& effect,
                          const ItemsOf& items_of, absl::Time now);

// What is to be done to a raw output before it is the step's output.
struct ReshapeJob {
  std::shared_ptr<const CompiledFlow> flow;
  std::string tenant;
  int32_t step = -1;
  bool context = false;
  std::vector<flowspec::ExprIndex> wanted;
  Scope scope;
};
// True if outputs of `step` are reshaped or checked at all.
bool NeedsReshape(const flowspec::Step& step);
ReshapeJob MakeReshapeJob(std::shared_ptr<const CompiledFlow> flow, const run::RunState& state,
                          run::NodeIndex node, const ItemsOf& items_of, absl::Time now);

// Thread-safe.
class Resolver {
 public:
  Resolver(ports::Evaluator& evaluator, ports::BlobStore& blobs, const ports::EventStore& events,
           const ports::Meter& meter)
      : evaluator_(evaluator), blobs_(blobs), events_(events), meter_(meter) {}

  // What a start's keys come to; empty where the flow has none. May block.
  struct Keys {
    std::string idempotency, concurrency;
  };
  absl::StatusOr<Keys> ResolveKeys(const std::shared_ptr<const CompiledFlow>& flow,
                                   const run::RunStarted& start, absl::Time now);

  // True if the job needs neither a child process nor a file and is small: working it off takes
  // microseconds. Otherwise it may block for as long as an evaluation may.
  bool Quick(const ResolveJob& job) const;
  // The report; of a foreach also its items as they go on in memory.
  struct Resolved {
    run::ReportResolution report;
    std::shared_ptr<const Items> items;
  };
  Resolved Resolve(ResolveJob job);

  // Replaces the output of a successful report by the reshaped and checked one; a report that
  // cannot be reshaped has failed. May block.
  void Reshape(ReshapeJob job, run::ReportAttempt* report);

 private:
  ports::Evaluator& evaluator_;
  ports::BlobStore& blobs_;
  const ports::EventStore& events_;
  const ports::Meter& meter_;
};

}  // namespace beamline::engine
