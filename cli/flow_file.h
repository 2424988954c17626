// Flow files as commands name them: read, parsed, and their findings told.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "flowspec/finding.h"
#include "flowspec/flow.h"

namespace beamline::cli {

// A file that a flow brings along.
struct BundleFile {
  std::string path;  // relative to the flow's directory, normalised
  std::string text;
};

struct SourceFile {
  std::string name;  // as it was named; "<stdin>" for "-"
  std::string text;
  std::vector<BundleFile> brings = {};  // of a registered flow
};

// The content of `path`, or of standard input for "-". At most one byte more than a flow may have
// is read, so that the parser can refuse what is too large.
// NotFound, PermissionDenied or FailedPrecondition (a directory, …), with a message for people.
absl::StatusOr<SourceFile> ReadSource(const std::string& path);

// Puts a file with this content and mode at `path` through a new file beside it, so that no reader
// sees half of it and nobody sees it with another mode.
absl::Status WriteFileAtomically(const std::string& path, const std::string& text, mode_t mode);

// Replaces the file's content through a new file beside it, so that no reader sees half of it.
absl::Status WriteSource(const std::string& path, const std::string& text);

// The files that `flow`, read from `path`, leads to through `flow: {uses: ./…}`, each once, nearest
// first. Each is checked. Nothing after telling on context.err what is wrong, with the exit code in
// `*code`: a file is missing, or no flow; there are too many (flowspec::kBundleFilesMax, …); or one
// lies outside of the flow's directory.
std::optional<std::vector<BundleFile>> LoadBundle(const Context& context, const std::string& path,
                                                  const flowspec::Flow& flow, int* code);

// The digest of a flow with these files (flowspec::Manifest).
std::string DigestOf(const flowspec::Flow& flow, const std::vector<BundleFile>& files);

// "2 errors, 1 warning"; "no findings".
std::string CountFindings(const flowspec::Findings& findings);

// The flow in `path`. Null after telling on context.err what is wrong; `*code` is then the exit
// code.
std::shared_ptr<const flowspec::Flow> LoadFlow(const Context& context, const std::string& path,
                                               int* code);
// Likewise, of what was read already, with checks of the flows that it uses where those are at
// hand.
std::shared_ptr<const flowspec::Flow> ParseSource(const Context& context, const SourceFile& file,
                                                  int* code,
                                                  const flowspec::ChildFlows& children = {});

}  // namespace beamline::cli
