// A flow with the files that it brings along: loaded, and judged as a whole before anything is
// recorded of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/orchestrator.pb.h"
#include "daemon/engine/compiled_flow.h"
#include "daemon/rpc/backend.h"
#include "flowspec/finding.h"

namespace beamline::rpc {

// What is wrong, and in which file; an empty path is the flow itself.
struct FileFinding {
  std::string path;
  flowspec::Finding finding;
};

struct FlowBundle {
  std::shared_ptr<const engine::CompiledFlow> flow;
  std::string digest;  // of the flow, or of the flow with its files
  std::vector<run::BundledFlow> files;
  std::vector<ports::FlowSource> sources;                           // of `files`
  std::vector<std::shared_ptr<const engine::CompiledFlow>> loaded;  // of `files`; null: cannot run
  std::vector<FileFinding> problems;  // errors in the files, and in how they are used
};

using FlowFileList = google::protobuf::RepeatedPtrField<v1::FlowFile>;

// Loads `source` and its files: some 20 ms for each that is new. A refusal for what is wrong with
// the flow itself; what is wrong with its files is told in `problems`.
// REQUIRES: CheckFlowFiles(files) is ok.
absl::StatusOr<FlowBundle> LoadBundle(const Backend& backend, const std::string& source,
                                      const FlowFileList& files, engine::FlowCache::Flow known);
// Likewise, of what is kept under `digest`. Errors of the store besides.
absl::StatusOr<FlowBundle> LoadKept(const Backend& backend, const std::string& digest);

// Why no run of the flow could do its work: problems of the bundle, and what this daemon does not
// have of what it names.
absl::StatusOr<std::vector<FileFinding>> WhatIsWrong(const Backend& backend,
                                                     const FlowBundle& bundle);

// The refusal of a flow with these findings. REQUIRES: one of them is an error.
absl::Status RefuseFlow(const std::vector<FileFinding>& findings);

// DIGEST_MISMATCH unless `wanted` is empty or the bundle's digest.
absl::Status CheckDigest(const FlowBundle& bundle, const std::string& wanted);

}  // namespace beamline::rpc
