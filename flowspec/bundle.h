// Flows that use each other by relative path: which files belong to a flow, and what they are
// called wherever it travels.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "flowspec/flow.h"

namespace beamline::flowspec {

// Of the files that a flow brings along, itself not counted.
inline constexpr int kBundleFilesMax = 64;
inline constexpr size_t kBundleBytesMax = size_t{4} << 20;
inline constexpr int kBundleDepthMax = 16;  // files between the flow and one that it leads to
inline constexpr size_t kBundlePathBytesMax = 1024;

// A `flow` step that names a file.
struct FileUse {
  std::string path;  // as written: "./test.flow.yaml"
  Span span;         // of the step's id
};

// The relative paths in `uses` of the flow's `flow` steps: each once, in the order of the steps.
std::vector<FileUse> FileUses(const Flow& flow);

// True for a name that a file of a bundle can have: relative, normalised ("a/b", no empty part, no
// `.` or `..`), without control characters, of 1 to kBundlePathBytesMax bytes.
bool IsBundlePath(std::string_view path);

// The name in the bundle of the file that `uses` names in the file `including`, itself a name in
// the bundle, or "" for the flow that is started: ("lib/a.flow.yaml", "../b.flow.yaml") is
// "b.flow.yaml". That flow itself is in the bundle only if one of the files uses it.
// InvalidArgument: `uses` is not relative, or leads out of the bundle's directory.
absl::StatusOr<std::string> ResolveUse(std::string_view including, std::string_view uses);

// What a flow and the files that it brings along are, by their digests.
struct Manifest {
  struct File {
    std::string path;    // in the bundle
    std::string digest;  // of the file's text
  };
  std::string flow;         // digest of the flow itself
  std::vector<File> files;  // in order of path

  // A document of its own, which no flow can be: equal bundles have equal texts.
  std::string Text() const;
  // Of all of it: the flow's own where it brings no files, or else that of Text().
  std::string Digest() const;
};

// `files` may come in any order. REQUIRES: the paths are unique.
Manifest MakeManifest(std::string flow_digest, std::vector<Manifest::File> files);
// Nothing if `text` is not what Manifest::Text() gives.
std::optional<Manifest> ReadManifest(std::string_view text);

}  // namespace beamline::flowspec
