// A manifest names the parts; they are looked up one by one.
#include "daemon/engine/stored_flow.h"

#include <optional>
#include <utility>

#include "flowspec/bundle.h"

namespace beamline::engine {
namespace {

flowspec::Manifest ManifestOf(const std::string& flow_digest,
                              const std::vector<run::BundledFlow>& files) {
  std::vector<flowspec::Manifest::File> parts;
  for (const run::BundledFlow& file : files) parts.push_back({file.path, file.digest});
  return flowspec::MakeManifest(flow_digest, std::move(parts));
}

}  // namespace

absl::StatusOr<StoredFlow> ReadFlow(const ports::EventStore& events, const std::string& digest) {
  absl::StatusOr<ports::FlowSource> kept = events.GetFlow(digest);
  if (!kept.ok()) return kept.status();
  std::optional<flowspec::Manifest> manifest = flowspec::ReadManifest(kept->source);
  if (!manifest) return StoredFlow{*std::move(kept), {}};
  absl::StatusOr<ports::FlowSource> flow = events.GetFlow(manifest->flow);
  if (!flow.ok()) return flow.status();
  StoredFlow stored{*std::move(flow), {}};
  for (flowspec::Manifest::File& file : manifest->files) {
    stored.files.push_back({std::move(file.path), std::move(file.digest)});
  }
  return stored;
}

std::string BundleDigest(const std::string& flow_digest,
                         const std::vector<run::BundledFlow>& files) {
  return ManifestOf(flow_digest, files).Digest();
}

ports::FlowSource KeptAs(const ports::FlowSource& flow,
                         const std::vector<run::BundledFlow>& files) {
  if (files.empty()) return flow;
  const flowspec::Manifest manifest = ManifestOf(flow.digest, files);
  return {manifest.Digest(), flow.name, manifest.Text()};
}

}  // namespace beamline::engine
