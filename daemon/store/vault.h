// Sensitive inputs of runs: one sealed file per run under a key of the data directory, and a vault
// in memory.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/vault.h"

namespace beamline::store {

// Sealing (XSalsa20-Poly1305) keeps the values out of copies of the directory without its key, and
// shows that a file is damaged or another run's. It does not hide them from the directory's owner.
class FileVault : public ports::Vault {
 public:
  // Opens `directory` (0700) and the key in it (0600), making both where they are missing.
  // Errors: see FileError; DataLoss, the key is damaged.
  static absl::StatusOr<std::unique_ptr<FileVault>> Open(const std::string& directory);
  ~FileVault() override;  // wipes the key

  absl::Status Put(const run::RunId& run, const ports::Secrets& secrets) override;
  // Also DataLoss: the file is not what was sealed for this run.
  absl::StatusOr<ports::Secrets> Get(const run::RunId& run) const override;
  void Forget(const run::RunId& run) override;

  // The runs that have secrets: whoever starts the daemon forgets those of runs that are over.
  std::vector<run::RunId> Runs() const;

 private:
  explicit FileVault(std::string directory) : directory_(std::move(directory)) {}
  absl::Status ReadKey();
  absl::Status MakeKey();
  std::string PathOf(const run::RunId& run) const;

  const std::string directory_;
  std::array<unsigned char, 32> key_{};
};

class MemoryVault : public ports::Vault {
 public:
  absl::Status Put(const run::RunId& run, const ports::Secrets& secrets) override;
  absl::StatusOr<ports::Secrets> Get(const run::RunId& run) const override;
  void Forget(const run::RunId& run) override;

 private:
  mutable ports::Mutex mu_;
  absl::flat_hash_map<run::RunId, ports::Secrets> secrets_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::store
