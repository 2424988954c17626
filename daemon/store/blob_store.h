// Blobs as files named by their digest: blobs/ab/cdef….
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "daemon/ports/blob_store.h"

namespace beamline::store {

class FileBlobStore : public ports::BlobStore {
 public:
  // Creates `directory` (0700) where it is missing, and removes what a crash left half written.
  // Errors: see FileError.
  static absl::StatusOr<std::unique_ptr<FileBlobStore>> Open(const std::string& directory);

  absl::StatusOr<std::string> Put(std::string_view content) override;
  absl::StatusOr<Stored> PutFile(const std::string& path, uint64_t bytes_max) override;
  absl::StatusOr<std::string> Get(const std::string& sha256) const override;
  std::string Path(const std::string& sha256) const override;

 private:
  explicit FileBlobStore(std::string directory) : directory_(std::move(directory)) {}
  std::string Parent(const std::string& sha256) const;
  std::string FinalPath(const std::string& sha256) const;
  std::string TemporaryPath();
  bool Has(const std::string& sha256) const;
  // Moves a complete temporary file to its place; on disk before return.
  absl::Status Publish(const std::string& temporary, const std::string& sha256);

  const std::string directory_;
  std::atomic<uint64_t> next_{0};  // of temporary names
};

}  // namespace beamline::store
