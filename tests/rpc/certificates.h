// Certificates for tests, as files.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/certificates.h"
#include "cli/context.h"

namespace beamline::rpc_testing {

// Replaces the file.
void WriteFile(const std::string& path, const std::string& text);

// A CA of its own below a directory.
class Authority {
 public:
  // Writes NAME.crt into `directory`, which exists.
  Authority(std::string directory, const std::string& name);

  const std::string& path() const { return path_; }
  const cli::KeyAndCertificate& pair() const { return pair_; }
  // Write PREFIX.crt and PREFIX.key. As of `now`: long ago gives a certificate that has expired.
  void Server(const std::string& prefix, absl::Time now) const;
  void Client(const std::string& prefix, const std::string& name, absl::Time now) const;

 private:
  void Write(const std::string& prefix, const cli::KeyAndCertificate& made) const;

  const std::string directory_, path_;
  const cli::KeyAndCertificate pair_;
};

}  // namespace beamline::rpc_testing
