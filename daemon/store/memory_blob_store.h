// Blobs in memory, for tests and --ephemeral.
#pragma once

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/mutex.h"

namespace beamline::store {

class MemoryBlobStore : public ports::BlobStore {
 public:
  absl::StatusOr<std::string> Put(std::string_view content) override;
  absl::StatusOr<Stored> PutFile(const std::string& path, uint64_t bytes_max) override;
  absl::StatusOr<std::string> Get(const std::string& sha256) const override;
  std::string Path(const std::string&) const override { return ""; }

 private:
  mutable ports::Mutex mu_;
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::store
