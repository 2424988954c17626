// A file that is asked for again while it is being read is one that leads back to itself.
#include "flowspec/child_flows.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "flowspec/parse.h"

namespace beamline::flowspec {

FlowFiles::FlowFiles(std::string root, ReadFile read)
    : root_(std::move(root)), read_(std::move(read)) {}

ChildFlows FlowFiles::ChildrenOf(const std::string& including, int depth) {
  return [this, including, depth](const std::string& uses) { return Find(including, uses, depth); };
}

ChildFlow FlowFiles::Find(const std::string& including, const std::string& uses, int depth) {
  if (uses.empty() || uses[0] != '.') return {};  // a registered flow
  const absl::StatusOr<std::string> path = ResolveUse(including, uses);
  if (!path.ok()) return {.problem = std::string(path.status().message())};
  if (*path == root_) {
    root_used_ = true;
    return {.recursive = true};
  }
  if (const auto found = known_.find(*path); found != known_.end()) return found->second;
  if (depth >= kBundleDepthMax || known_.size() >= size_t{kBundleFilesMax}) return {};
  known_[*path] = {.recursive = true};  // while it is being read
  ChildFlow child;
  const absl::StatusOr<std::string> source = read_(*path);
  if (!source.ok()) {
    child.problem = std::string(source.status().message());
  } else {
    const ParseResult parsed = ParseFlow(
        *source, {.compile_expressions = false, .children = ChildrenOf(*path, depth + 1)});
    child.flow = parsed.flow;
    child.children = ChildrenOf(*path, depth + 1);
    const auto error =
        std::find_if(parsed.findings.begin(), parsed.findings.end(),
                     [](const Finding& f) { return f.severity == Severity::kError; });
    if (child.flow == nullptr && error != parsed.findings.end()) {
      child.problem = absl::StrCat(*path, ":", error->span.line, ": ", error->message);
    }
  }
  known_[*path] = child;
  return child;
}

Manifest FlowFiles::ManifestOf(const std::string& flow_digest) const {
  std::vector<Manifest::File> files;
  if (root_used_) files.push_back({root_, flow_digest});
  for (const auto& [path, child] : known_) {
    if (child.flow != nullptr) files.push_back({path, child.flow->digest});
  }
  return MakeManifest(flow_digest, std::move(files));
}

}  // namespace beamline::flowspec
