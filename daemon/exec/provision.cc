// Looks where an attempt would look.
#include "daemon/exec/provision.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/llm_step.h"

namespace beamline::exec {

absl::Status ConfiguredProvision::CheckModel(const std::string& route,
                                             const std::string& model) const {
  const absl::StatusOr<FoundModel> found = FindModel(models_, route, model);
  if (!found.ok()) return found.status();
  const LlmProvider& provider = *found->provider;
  absl::StatusOr<std::string> key = std::string();
  if (!provider.key_env.empty()) {
    key = ReadSecret("env", provider.key_env);
  } else if (!provider.key_file.empty()) {
    key = ReadSecret("file", provider.key_file);
  }
  if (key.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the key of the provider ", provider.name, ": ", key.status().message()));
}

absl::Status ConfiguredProvision::CheckSecret(const flowspec::Secret& secret) const {
  return SecretValue(rules_, secret).status();
}

}  // namespace beamline::exec
