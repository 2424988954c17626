// The decision of the core itself, and the state that its facts would lead to.
#include "daemon/run/preview.h"

#include <algorithm>
#include <utility>

#include "daemon/run/evolve.h"
#include "daemon/run/intervene.h"

namespace beamline::run {
namespace {

using flowspec::Section;

void AddKept(const RunState& state, NodeIndex first, size_t size, std::vector<Kept>* kept);

void AddKept(const RunState& state, NodeIndex index, std::vector<Kept>* kept) {
  const Node& node = state.node(index);
  if (node.status == Status::kSucceeded) {
    kept->push_back({PathOf(state, index)});
  } else if (const auto fan = state.fans.find(index); fan != state.fans.end()) {
    const auto& done = fan->second.done;
    const auto stay = std::count_if(done.begin(), done.end(), [](const Item& item) {
      return item.status == Status::kSucceeded;
    });
    if (stay > 0) kept->push_back({PathOf(state, index), static_cast<int32_t>(stay)});
  } else if (node.first_child >= 0) {
    AddKept(state, node.first_child, state.plan->children(node.step).size(), kept);
  }
}

void AddKept(const RunState& state, NodeIndex first, size_t size, std::vector<Kept>* kept) {
  if (first < 0) return;
  for (NodeIndex i = first; i < first + static_cast<NodeIndex>(size); ++i) {
    AddKept(state, i, kept);
  }
}

}  // namespace

absl::StatusOr<RetryPreview> PreviewRetry(RunState state, const RetryStep& wish, absl::Time now) {
  absl::StatusOr<std::vector<Fact>> facts = DecideRetry(state, wish);
  if (!facts.ok()) return facts.status();
  RetryPreview preview{*std::move(facts), {}};
  for (const Fact& fact : preview.facts) {
    const Event event{state.seq + 1, now, "", fact};
    state = Evolve(std::move(state), event);
  }
  // Later sections run again when their turn comes.
  for (const Section section : {Section::kMain, Section::kOnFailure, Section::kFinally}) {
    if (section > state.section) break;
    AddKept(state, state.first[static_cast<size_t>(section)], state.plan->section(section).size(),
            &preview.kept);
  }
  return preview;
}

}  // namespace beamline::run
