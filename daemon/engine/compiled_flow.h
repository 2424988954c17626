// Flows ready to run, by their source; parsed and checked once.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/ports/mutex.h"
#include "daemon/run/plan.h"
#include "flowspec/finding.h"

namespace beamline::engine {

struct CompiledFlow {
  std::shared_ptr<const run::Plan> plan;
  std::shared_ptr<const std::string> program;  // jq, of all its expressions
  std::string program_digest;
  bool fixed_context = false;  // `vars` and `env` hold no expressions
  bool artifacts = false;      // a step has some

  const flowspec::Flow& flow() const { return *plan->flow; }
};

// Thread-safe. Keeps the most recently used flows.
class FlowCache {
 public:
  explicit FlowCache(size_t capacity) : capacity_(capacity) {}

  struct Loaded {
    std::shared_ptr<const CompiledFlow> flow;  // null if a finding is an error
    flowspec::Findings findings;               // of the flow as such and of what cannot run yet
  };
  // Whether the flow was let in before, when it was started or registered. What an earlier release
  // let in goes on, whatever later ones find to say of it (ParseOptions::accepted_before).
  enum class Flow { kKnown, kNew };
  // Costs a hash of `source` when the flow is cached; some 20 ms and more when it has to be parsed
  // and its expressions compiled.
  Loaded Load(const std::string& source, Flow flow = Flow::kKnown);

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const CompiledFlow>>;

  const size_t capacity_;
  ports::Mutex mu_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);  // most recently used first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_source_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::engine
