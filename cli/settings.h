// What is not said by a command's own flags: which daemon, which format, which colours. A flag wins
// over the environment, that over the project's `.beamline.yaml`, that over the context chosen with
// `context use`, that over the user's config.yaml.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/context.h"

namespace beamline::cli {

// The keys that both files may have. Relative paths start from the file's directory.
struct Settings {
  std::string context;
  std::string output;
  std::string color;
  std::string data_dir;
  std::string socket;
};

struct SettingsError {
  std::string message;  // "FILE:LINE:COLUMN: …"
  std::string hint;     // may be empty
};

// Adds to `settings` what `text` (YAML, the content of `path`) says and nobody said before.
std::optional<SettingsError> ReadSettings(std::string_view text, const std::string& path,
                                          Settings* settings);

// The nearest `.beamline.yaml` in `directory` or above it; "" if there is none. A file of another
// user than this one or root does not count, since it could lead to a daemon of that user.
std::string FindProjectFile(const std::string& directory);

// Fills in all of `context` but its writers from the arguments, the environment and the files.
// On an error, what could be told so far is filled in, so that the error can be shown.
std::optional<SettingsError> ResolveContext(const Arguments& arguments, Context* context);

}  // namespace beamline::cli
