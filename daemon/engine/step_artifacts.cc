// Walks up from the step, and down into what each earlier step left.
#include "daemon/engine/step_artifacts.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "flowspec/digest.h"

namespace beamline::engine {
namespace {

using ports::ArtifactTree;
using run::kRunNode;
using run::NodeIndex;
using run::RunState;

constexpr size_t kKeyBytesKept = 180;

// A path that a pattern found, below the directory of its artifact.
std::string PlaceOf(const run::ArtifactRef& artifact) {
  if (!artifact.by_pattern) return artifact.name;
  std::string place = artifact.name;
  for (absl::string_view part : absl::StrSplit(artifact.path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    absl::StrAppend(&place, "/", part == ".." ? "%2E%2E" : part);
  }
  return place;
}

// Collects the files of one step.
class Collector {
 public:
  Collector(const RunState& state, const ItemsOf& items_of, ArtifactTree* tree)
      : state_(state), items_of_(items_of), tree_(*tree) {}

  void Collect(NodeIndex index, const std::string& prefix) {
    const run::Node& node = state_.node(index);
    const flowspec::Step& step = state_.step_of(index);
    if (const auto fan = state_.fans.find(index); fan != state_.fans.end()) {
      if (!step.loop) return CollectItems(index, fan->second, prefix);
      if (fan->second.next > 0) {  // the last round speaks for the loop
        Add(fan->second.done[static_cast<size_t>(fan->second.next - 1)].artifacts, prefix);
      }
      return;
    }
    if (node.first_child < 0) return Add(node.artifacts, prefix);
    for (size_t i = 0; i < step.children.size(); ++i) {
      const NodeIndex child = node.first_child + static_cast<NodeIndex>(i);
      Collect(child, absl::StrCat(prefix, state_.step_of(child).id, "/"));
    }
  }

 private:
  void CollectItems(NodeIndex index, const run::Fan& fan, const std::string& prefix) {
    const std::shared_ptr<const Items> items = items_of_(index);
    for (size_t i = 0; i < fan.done.size(); ++i) {
      if (fan.done[i].artifacts.empty()) continue;
      const std::string key = i < items->keys.size() ? FileNameOf(items->keys[i]) : absl::StrCat(i);
      Add(fan.done[i].artifacts, absl::StrCat(prefix, key, "/"));
    }
  }

  void Add(const std::vector<run::ArtifactRef>& artifacts, const std::string& prefix) {
    for (const run::ArtifactRef& artifact : artifacts) {
      if (tree_.left_out > 0 || tree_.files.size() == kTreeFilesMax) {
        tree_.left_out += tree_.files.size() + 1;
        tree_.files.clear();
        continue;
      }
      tree_.files.push_back({prefix + PlaceOf(artifact), artifact.sha256, artifact.bytes});
    }
  }

  const RunState& state_;
  const ItemsOf& items_of_;
  ArtifactTree& tree_;
};

bool IsAtOrBelow(const std::string& path, const std::string& above) {
  return absl::StartsWith(path, above) &&
         (path.size() == above.size() || path[above.size()] == '/' || path[above.size()] == '[');
}

}  // namespace

std::string FileNameOf(std::string_view key) {
  std::string name;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte >= 0x20 && byte != 0x7F && c != '/' && c != '%' && (c != '.' || !name.empty());
    if (plain) {
      name += c;
    } else {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      name += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  if (name.empty()) return "%";
  if (name.size() <= kKeyBytesKept) return name;
  name.resize(kKeyBytesKept);
  return absl::StrCat(name, "%", flowspec::Sha256Hex(key).substr(0, 16));
}

StepArtifacts::Trees StepArtifacts::VisibleTo(const RunState& state, NodeIndex node,
                                              const ItemsOf& items_of) {
  Trees trees;
  while (node != kRunNode) {
    const run::Node& n = state.node(node);
    if (n.undoing) Add(state, n.parent, items_of, &trees);
    // An item sees what its foreach sees.
    if (n.item < 0 && !n.undoing) AddNeeds(state, node, items_of, &trees);
    node = n.parent;
  }
  if (state.section == flowspec::Section::kMain) return trees;
  const NodeIndex first = state.first[static_cast<size_t>(flowspec::Section::kMain)];
  const auto count = static_cast<NodeIndex>(state.plan->flow->main.size());
  for (NodeIndex i = 0; first >= 0 && i < count; ++i) Add(state, first + i, items_of, &trees);
  return trees;
}

void StepArtifacts::AddNeeds(const RunState& state, NodeIndex node, const ItemsOf& items_of,
                             Trees* trees) {
  const int32_t ordinal = state.plan->steps[static_cast<size_t>(state.node(node).step)].ordinal;
  std::vector<int32_t> needed{state.node(node).step};
  std::vector<bool> seen(state.plan->steps.size());
  for (size_t i = 0; i < needed.size(); ++i) {
    for (const flowspec::Need& need : state.plan->step(needed[i]).needs) {
      if (seen[static_cast<size_t>(need.step)]) continue;
      seen[static_cast<size_t>(need.step)] = true;
      needed.push_back(need.step);
      const int32_t there = state.plan->steps[static_cast<size_t>(need.step)].ordinal;
      Add(state, node + there - ordinal, items_of, trees);  // siblings stand side by side
    }
  }
}

void StepArtifacts::Add(const RunState& state, NodeIndex step, const ItemsOf& items_of,
                        Trees* trees) {
  const flowspec::Step& flow_step = state.step_of(step);
  if (flow_step.artifacts.empty() && flow_step.children.empty()) return;
  const std::string& id = flow_step.id;
  const bool nearer =
      std::any_of(trees->begin(), trees->end(), [&](const auto& tree) { return tree->step == id; });
  if (nearer || !run::IsTerminal(state.node(step).status)) return;
  auto& tree = by_path_[run::PathOf(state, step)];
  if (tree == nullptr) {
    auto fresh = std::make_shared<ArtifactTree>();
    fresh->step = id;
    fresh->path = run::PathOf(state, step);
    Collector(state, items_of, fresh.get()).Collect(step, "");
    tree = std::move(fresh);
  }
  if (!tree->files.empty() || tree->left_out > 0) trees->push_back(tree);
}

void StepArtifacts::Forget(const std::vector<run::Event>& events) {
  if (by_path_.empty()) return;
  for (const run::Event& event : events) {
    const bool begins = std::holds_alternative<run::AttemptStarted>(event.fact) ||
                        std::holds_alternative<run::StepStarted>(event.fact) ||
                        std::holds_alternative<run::ForeachStarted>(event.fact);
    if (!begins) continue;
    const std::string& path = run::FactPath(event.fact);
    for (auto at = by_path_.begin(); at != by_path_.end();) {
      const auto here = at++;
      if (IsAtOrBelow(path, here->first)) by_path_.erase(here);
    }
  }
}

}  // namespace beamline::engine
