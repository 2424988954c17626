// Read anew for every attempt, so that a changed secret needs no restart.
#include "daemon/exec/secrets.h"

#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "flowspec/json_text.h"

namespace beamline::exec {
namespace {

constexpr size_t kSecretBytesMax = 64 << 10;

absl::Status Missing(absl::string_view why) { return absl::FailedPreconditionError(why); }

absl::StatusOr<std::string> FromEnvironment(const std::string& name) {
  const char* value = getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    return Missing(absl::StrCat("$", name,
                                " is not set in the daemon's environment; set it and start the "
                                "daemon again, or use a file"));
  }
  return value;
}

absl::StatusOr<std::string> FromFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Missing(absl::StrCat("the daemon cannot read the file ", path));
  std::string text(kSecretBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kSecretBytesMax) return Missing(absl::StrCat(path, " is larger than 64 KiB"));
  text = std::string(absl::StripSuffix(absl::StripSuffix(text, "\n"), "\r"));
  if (text.empty()) return Missing(absl::StrCat("the file ", path, " is empty"));
  return text;
}

}  // namespace

absl::StatusOr<std::string> ReadSecret(absl::string_view source, const std::string& place) {
  return source == "env" ? FromEnvironment(place) : FromFile(place);
}

absl::StatusOr<std::string> SecretValue(const SecretRules& rules, const flowspec::Secret& secret) {
  absl::StatusOr<std::string> value =
      rules.local ? ReadSecret(secret.source, secret.value)
                  : Missing(absl::StrCat(
                        "this daemon serves the network and does not hand out its `", secret.source,
                        "` secrets (secrets_local in its configuration allows it)"));
  if (value.ok()) return value;
  return Missing(absl::StrCat("secret `", secret.name, "`: ", value.status().message()));
}

absl::Status ReadSecrets(const SecretRules& rules, ports::Attempt* attempt) {
  for (const flowspec::Secret& secret : attempt->secrets) {
    // Data that merely looks like it costs a read; where it stands for the secret is decided by
    // those who fill it in.
    const std::string marker = absl::StrCat("{\"secret\":", flowspec::QuoteJson(secret.name), "}");
    if (!absl::StrContains(attempt->input, marker)) continue;
    absl::StatusOr<std::string> value = SecretValue(rules, secret);
    if (!value.ok()) return value.status();
    attempt->sensitive.emplace_back(absl::StrCat(ports::kSecretPrefix, secret.name),
                                    flowspec::QuoteJson(*value));
  }
  return absl::OkStatus();
}

const std::string* FindSensitive(const ports::Attempt& attempt, absl::string_view name) {
  for (const auto& [known, text] : attempt.sensitive) {
    if (known == name) return &text;
  }
  return nullptr;
}

}  // namespace beamline::exec
