// Made with the authority of `beamline daemon init-tls`.
#include "tests/rpc/certificates.h"

#include <doctest/doctest.h>

#include <fstream>
#include <utility>

#include "absl/time/clock.h"

namespace beamline::rpc_testing {

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

Authority::Authority(std::string directory, const std::string& name)
    : directory_(std::move(directory)),
      path_(directory_ + "/" + name + ".crt"),
      pair_(cli::MakeAuthority(absl::Now()).value()) {
  WriteFile(path_, pair_.cert);
}

void Authority::Server(const std::string& prefix, absl::Time now) const {
  Write(prefix, cli::IssueForServer(pair_, {"localhost", "127.0.0.1"}, now).value());
}

void Authority::Client(const std::string& prefix, const std::string& name, absl::Time now) const {
  Write(prefix, cli::IssueForClient(pair_, name, now).value());
}

void Authority::Write(const std::string& prefix, const cli::KeyAndCertificate& made) const {
  WriteFile(directory_ + "/" + prefix + ".key", made.key);
  WriteFile(directory_ + "/" + prefix + ".crt", made.cert);
}

}  // namespace beamline::rpc_testing
