// Flow files as commands name them: read, parsed, and their findings told.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "flowspec/finding.h"
#include "flowspec/flow.h"

namespace beamline::cli {

struct SourceFile {
  std::string name;  // as it was named; "<stdin>" for "-"
  std::string text;
};

// The content of `path`, or of standard input for "-". At most one byte more than a flow may have
// is read, so that the parser can refuse what is too large.
// NotFound, PermissionDenied or FailedPrecondition (a directory, …), with a message for people.
absl::StatusOr<SourceFile> ReadSource(const std::string& path);

// Replaces the file's content through a new file beside it, so that no reader sees half of it.
absl::Status WriteSource(const std::string& path, const std::string& text);

// "2 errors, 1 warning"; "no findings".
std::string CountFindings(const flowspec::Findings& findings);

// The flow in `path`. Null after telling on context.err what is wrong; `*code` is then the exit
// code.
std::shared_ptr<const flowspec::Flow> LoadFlow(const Context& context, const std::string& path,
                                               int* code);
// Likewise, of what was read already.
std::shared_ptr<const flowspec::Flow> ParseSource(const Context& context, const SourceFile& file,
                                                  int* code);

}  // namespace beamline::cli
