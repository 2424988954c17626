// The models that `llm` steps may ask, in the daemon's configuration file.
#pragma once

#include <optional>
#include <string>

#include "daemon/exec/llm_provider.h"
#include "flowspec/yaml.h"

namespace beamline::daemon {

struct ConfigProblem {
  const flowspec::Node* node = nullptr;  // where
  std::string what;
};

// Reads the map at `providers`:
//   NAME:
//     kind: openai | anthropic | recorded
//     base_url: URL          (that of the company behind the format)
//     key: {env: NAME} or {file: PATH}
//     file: PATH             (of kind recorded)
//     models: {MODEL: {temperature: false, schema: true, price: {input: 3, output: 15}}}
// and the map at `routes`, name → provider/model. What is there already stays.
std::optional<ConfigProblem> ReadProviders(const flowspec::Node& node, exec::LlmProviders* models);
std::optional<ConfigProblem> ReadRoutes(const flowspec::Node& node, exec::LlmProviders* models);

}  // namespace beamline::daemon
