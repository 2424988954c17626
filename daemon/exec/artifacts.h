// Puts the files that a step made into the blob store.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/ports/blob_store.h"
#include "daemon/run/event.h"

namespace beamline::exec {

// One entry of a step's `artifacts`.
struct ArtifactRule {
  std::string name;
  std::string path;    // relative to the step's directory; may be a glob (glob(7), no "**")
  std::string report;  // "", "junit", "sarif"
};

// Stores what `rules` name, in order; a glob stores each regular file that it matches, under the
// same name, sorted by path. Every file must really lie (symbolic links followed) in `workspace` or
// `dir`, both absolute, and have at most 1 GiB. Blocks for as long as copying takes.
// Errors name the artifact and the path: NotFound (nothing there), FailedPrecondition (not a
// regular file), PermissionDenied (outside), ResourceExhausted, or what the store says.
absl::StatusOr<std::vector<run::ArtifactRef>> StoreArtifacts(absl::Span<const ArtifactRule> rules,
                                                             const std::string& dir,
                                                             const std::string& workspace,
                                                             ports::BlobStore& blobs);

}  // namespace beamline::exec
