// Flows as people name them on the command line: a file, standard input, or a registered name.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/client.h"
#include "cli/context.h"
#include "cli/flow_file.h"

namespace beamline::cli {

// Whether `word` means a file: "-", what has a slash, what ends with .yaml or .yml, and what is
// there and no directory. Anything else is the name of a registered flow.
bool IsFlowFile(const std::string& word);

// The source that `word` names, from its file or, over `*client`, from the daemon. Nothing after
// telling what is wrong; `*code` is then the exit code.
std::optional<SourceFile> ReadFlow(const Context& context, const std::string& word,
                                   std::unique_ptr<Client>* client, int* code);

// Connects `*client` unless it is. The exit code, after telling what is wrong.
int EnsureConnected(const Context& context, std::unique_ptr<Client>* client);

// Where a flow file's relative paths start: its directory.
std::string WorkspaceOf(const std::string& file);

}  // namespace beamline::cli
