// The flows that lie beside a flow and that it uses, read and checked when they are asked for.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "flowspec/bundle.h"
#include "flowspec/flow.h"

namespace beamline::flowspec {

// Outlives every ChildFlows that it gives. Reads at most kBundleFilesMax files, and follows them
// kBundleDepthMax deep; what lies beyond is not at hand.
class FlowFiles {
 public:
  // The text of the file `path` of the bundle (bundle.h), relative to the directory of the flow.
  using ReadFile = std::function<absl::StatusOr<std::string>(const std::string& path)>;

  // `root` is the flow's own file name in that directory.
  FlowFiles(std::string root, ReadFile read);

  // The flows that the flow itself uses.
  ChildFlows Children() { return ChildrenOf("", 0); }

  // Of the flow with this digest and the files that were asked for so far.
  Manifest ManifestOf(const std::string& flow_digest) const;

 private:
  ChildFlows ChildrenOf(const std::string& including, int depth);
  ChildFlow Find(const std::string& including, const std::string& uses, int depth);

  const std::string root_;
  const ReadFile read_;
  std::map<std::string, ChildFlow> known_;  // by path
  bool root_used_ = false;
};

}  // namespace beamline::flowspec
