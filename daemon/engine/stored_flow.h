// Flows as the event store keeps them: each by its digest, and those that bring files along by the
// digest of a manifest, which names the parts.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ports/event_store.h"
#include "daemon/run/event.h"

namespace beamline::engine {

struct StoredFlow {
  ports::FlowSource flow;               // the flow itself, under its own digest
  std::vector<run::BundledFlow> files;  // what it brings along; each is kept by its digest
};

// What is kept under `digest`. NotFound: nothing, or not all of it.
absl::StatusOr<StoredFlow> ReadFlow(const ports::EventStore& events, const std::string& digest);

// The digest of a flow with these files (flowspec::Manifest).
std::string BundleDigest(const std::string& flow_digest,
                         const std::vector<run::BundledFlow>& files);

// What is kept under that digest: the flow, or its manifest.
ports::FlowSource KeptAs(const ports::FlowSource& flow, const std::vector<run::BundledFlow>& files);

}  // namespace beamline::engine
