// Parses outside the lock: two first uses at once parse twice and agree.
#include "daemon/engine/compiled_flow.h"

#include <algorithm>

#include "flowspec/jq.h"
#include "flowspec/parse.h"

namespace beamline::engine {
namespace {

bool Constant(const std::vector<std::pair<std::string, flowspec::Template>>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](const auto& value) { return value.second.constant(); });
}

std::shared_ptr<const CompiledFlow> Compile(std::shared_ptr<const flowspec::Flow> flow) {
  auto compiled = std::make_shared<CompiledFlow>();
  std::vector<std::string> as_names;
  for (const flowspec::Step& step : flow->steps) {
    if (step.foreach &&
        std::find(as_names.begin(), as_names.end(), step.foreach->as) == as_names.end()) {
      as_names.push_back(step.foreach->as);
    }
  }
  compiled->program =
      std::make_shared<std::string>(flowspec::AssembleProgram(flow->expressions, as_names));
  compiled->program_digest = flow->digest;  // the program is a function of the flow
  compiled->fixed_context = Constant(flow->vars) && Constant(flow->env);
  compiled->artifacts =
      std::any_of(flow->steps.begin(), flow->steps.end(),
                  [](const flowspec::Step& step) { return !step.artifacts.empty(); });
  compiled->plan = run::MakePlan(std::move(flow));
  return compiled;
}

}  // namespace

FlowCache::Loaded FlowCache::Load(const std::string& source, Flow flow) {
  {
    ports::MutexLock lock(&mu_);
    auto found = by_source_.find(source);
    if (found != by_source_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return {entries_.front().second, {}};
    }
  }
  flowspec::ParseResult parsed =
      flowspec::ParseFlow(source, {.accepted_before = flow == Flow::kKnown});
  Loaded loaded{nullptr, std::move(parsed.findings)};
  if (parsed.flow == nullptr) return loaded;
  flowspec::Findings unable = flowspec::CheckExecutable(*parsed.flow);
  loaded.findings.insert(loaded.findings.end(), unable.begin(), unable.end());
  if (flowspec::HasErrors(loaded.findings)) return loaded;
  loaded.flow = Compile(std::move(parsed.flow));

  ports::MutexLock lock(&mu_);
  if (by_source_.contains(source)) return loaded;
  entries_.emplace_front(source, loaded.flow);
  by_source_.emplace(source, entries_.begin());
  if (entries_.size() > capacity_) {
    by_source_.erase(entries_.back().first);
    entries_.pop_back();
  }
  return loaded;
}

}  // namespace beamline::engine
