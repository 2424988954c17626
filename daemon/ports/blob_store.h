// Large values and artifacts, by the digest of their content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::ports {

// Thread-safe. Digests are SHA-256 as 64 lower-case hex digits.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  // Stores `content` and returns its digest; on disk (file and directory) before return.
  // ResourceExhausted: the disk is full, nothing stored. DataLoss: an I/O error.
  virtual absl::StatusOr<std::string> Put(std::string_view content) = 0;
  struct Stored {
    std::string sha256;
    uint64_t bytes = 0;
  };
  // Likewise, from the regular file `path`, read once. NotFound, FailedPrecondition (not a regular
  // file), ResourceExhausted (over `bytes_max`, or the disk is full).
  virtual absl::StatusOr<Stored> PutFile(const std::string& path, uint64_t bytes_max) = 0;
  // The content. NotFound; DataLoss: it no longer has its digest.
  virtual absl::StatusOr<std::string> Get(const std::string& sha256) const = 0;
  // Where the content lies as a file, for copying out; empty if it does not.
  virtual std::string Path(const std::string& sha256) const = 0;
};

}  // namespace beamline::ports
