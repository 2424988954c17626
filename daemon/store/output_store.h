// What steps print, in files: written by a thread of its own from a bounded queue.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/output_store.h"
#include "daemon/store/output_files.h"

namespace beamline::store {

class FileOutputStore : public ports::OutputStore {
 public:
  struct Options {
    OutputLimits limits;
    size_t queue_bytes_max = 8 << 20;  // a full queue makes Write wait for the disk
  };

  // Creates `root` (0700) where it is missing. The thread starts with the first Write.
  static absl::StatusOr<std::unique_ptr<FileOutputStore>> Open(const std::string& root,
                                                               const Options& options);
  static absl::StatusOr<std::unique_ptr<FileOutputStore>> Open(const std::string& root) {
    return Open(root, Options());
  }
  ~FileOutputStore() override;  // writes what is queued

  // In the file within 50 ms, and before any later Read returns.
  void Write(const run::RunId& run, ports::OutputChunk chunk) override;
  // OutOfRange: `offset` is not one that a page gave. A run that printed nothing has an empty page.
  absl::StatusOr<Page> Read(const run::RunId& run, uint64_t offset,
                            size_t bytes_max) const override;
  absl::Status Delete(const run::RunId& run) override;
  // Once the handle is destroyed, `changed` neither runs nor will run; so do not destroy it within
  // `changed`, nor while holding a lock that `changed` takes. Destroy it before the store.
  std::shared_ptr<void> Watch(const run::RunId& run, std::function<void()> changed) override;
  absl::Status health() const override;

 private:
  struct Queued {
    run::RunId run;
    ports::OutputChunk chunk;
  };
  struct Watcher {
    ports::Mutex mu;
    std::function<void()> changed ABSL_GUARDED_BY(mu);
  };

  FileOutputStore(std::string root, const Options& options)
      : root_(std::move(root)), options_(options), files_(root_, options.limits) {}
  void Enqueue(const run::RunId& run, ports::OutputChunk chunk);
  void WriteLoop();
  // Takes what is queued, once there is enough of it or it has waited; empty at the end.
  std::vector<Queued> Dequeue();
  void WriteBatch(std::vector<Queued> batch);
  void Notify(const run::RunId& run);
  // Waits until all that was written before is in the files.
  void Flush() const;

  const std::string root_;
  const Options options_;

  mutable ports::Mutex mu_;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
  std::thread::id writer_ ABSL_GUARDED_BY(mu_);
  std::vector<Queued> queue_ ABSL_GUARDED_BY(mu_);
  size_t queue_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t enqueued_ ABSL_GUARDED_BY(mu_) = 0;  // chunks, since the start
  uint64_t written_ ABSL_GUARDED_BY(mu_) = 0;
  mutable int flushers_ ABSL_GUARDED_BY(mu_) = 0;  // threads in Flush
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status health_ ABSL_GUARDED_BY(mu_);

  ports::Mutex files_mu_;
  OutputFiles files_ ABSL_GUARDED_BY(files_mu_);

  ports::Mutex watchers_mu_;
  absl::flat_hash_map<run::RunId, std::vector<std::shared_ptr<Watcher>>> watchers_
      ABSL_GUARDED_BY(watchers_mu_);
};

}  // namespace beamline::store
