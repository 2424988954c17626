// The daemon's models and secrets, asked about before a run needs them.
#pragma once

#include <string>
#include <utility>

#include "daemon/exec/llm_provider.h"
#include "daemon/exec/secrets.h"
#include "daemon/ports/provision.h"

namespace beamline::exec {

class ConfiguredProvision : public ports::Provision {
 public:
  ConfiguredProvision(LlmProviders models, SecretRules rules)
      : models_(std::move(models)), rules_(rules) {}

  absl::Status CheckModel(const std::string& route, const std::string& model) const override;
  absl::Status CheckSecret(const flowspec::Secret& secret) const override;

 private:
  const LlmProviders models_;
  const SecretRules rules_;
};

}  // namespace beamline::exec
