// The queue between those who print and the thread that writes.
#include "daemon/store/output_store.h"

#include <algorithm>

#include "daemon/store/output_record.h"

namespace beamline::store {
namespace {

// Short pieces are gathered this long, or until there are this many bytes, into one write.
constexpr absl::Duration kGather = absl::Milliseconds(20);
constexpr size_t kGatherBytes = 256 << 10;

// What a chunk takes in the queue, about.
size_t QueuedBytes(const ports::OutputChunk& chunk) {
  return chunk.bytes.size() + chunk.path.size() + 128;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileOutputStore>> FileOutputStore::Open(const std::string& root,
                                                                       const Options& options) {
  if (absl::Status s = MakeDirectory(root); !s.ok()) return s;
  return std::unique_ptr<FileOutputStore>(new FileOutputStore(root, options));
}

FileOutputStore::~FileOutputStore() {
  std::thread thread;
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void FileOutputStore::Write(const run::RunId& run, ports::OutputChunk chunk) {
  while (chunk.bytes.size() > kChunkBytesMax) {
    ports::OutputChunk piece = chunk;
    piece.bytes.resize(kChunkBytesMax);
    chunk.bytes.erase(0, kChunkBytesMax);
    Enqueue(run, std::move(piece));
  }
  if (!chunk.bytes.empty()) Enqueue(run, std::move(chunk));
}

void FileOutputStore::Enqueue(const run::RunId& run, ports::OutputChunk chunk) {
  ports::MutexLock lock(&mu_);
  if (!thread_.joinable()) {
    thread_ = std::thread(&FileOutputStore::WriteLoop, this);
    writer_ = thread_.get_id();
  }
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return queue_bytes_ < options_.queue_bytes_max;
  });
  queue_bytes_ += QueuedBytes(chunk);
  queue_.push_back({run, std::move(chunk)});
  ++enqueued_;
}

std::vector<FileOutputStore::Queued> FileOutputStore::Dequeue() {
  ports::MutexLock lock(&mu_);
  mu_.Await([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !queue_.empty() || stopping_; });
  const auto enough = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || flushers_ > 0 || queue_bytes_ >= kGatherBytes;
  };
  mu_.AwaitFor(enough, kGather);
  return std::exchange(queue_, {});
}

void FileOutputStore::WriteLoop() {
  while (true) {
    std::vector<Queued> batch = Dequeue();
    if (batch.empty()) return;
    size_t bytes = 0;
    for (const Queued& queued : batch) bytes += QueuedBytes(queued.chunk);
    const uint64_t chunks = batch.size();
    std::vector<run::RunId> runs;
    for (const Queued& queued : batch) runs.push_back(queued.run);
    std::sort(runs.begin(), runs.end());
    runs.erase(std::unique(runs.begin(), runs.end()), runs.end());
    WriteBatch(std::move(batch));
    {
      // Only now is there room again: what is being written counts as queued.
      ports::MutexLock lock(&mu_);
      queue_bytes_ -= bytes;
      written_ += chunks;
    }
    for (const run::RunId& run : runs) Notify(run);
  }
}

void FileOutputStore::WriteBatch(std::vector<Queued> batch) {
  std::stable_sort(batch.begin(), batch.end(),
                   [](const Queued& a, const Queued& b) { return a.run < b.run; });
  absl::Status status;
  for (size_t first = 0; first < batch.size();) {
    const run::RunId run = batch[first].run;
    std::vector<ports::OutputChunk> chunks;
    for (; first < batch.size() && batch[first].run == run; ++first) {
      chunks.push_back(std::move(batch[first].chunk));
    }
    ports::MutexLock lock(&files_mu_);
    status.Update(files_.Append(run, chunks));
  }
  ports::MutexLock lock(&mu_);
  health_.Update(status);  // keeps the first error
}

void FileOutputStore::Flush() const {
  ports::MutexLock lock(&mu_);
  // The writing thread itself (a `changed` that reads) must not wait for itself.
  if (writer_ == std::this_thread::get_id()) return;
  const uint64_t wanted = enqueued_;
  ++flushers_;
  mu_.Await([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return written_ >= wanted; });
  --flushers_;
}

absl::StatusOr<ports::OutputStore::Page> FileOutputStore::Read(const run::RunId& run,
                                                               uint64_t offset,
                                                               size_t bytes_max) const {
  Flush();
  return ReadOutput(root_, run, offset, bytes_max, options_.limits);
}

absl::Status FileOutputStore::Delete(const run::RunId& run) {
  Flush();
  ports::MutexLock lock(&files_mu_);
  return files_.Delete(run);
}

void FileOutputStore::Notify(const run::RunId& run) {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    ports::MutexLock lock(&watchers_mu_);
    auto found = watchers_.find(run);
    if (found != watchers_.end()) watchers = found->second;
  }
  for (const auto& watcher : watchers) {
    ports::MutexLock lock(&watcher->mu);
    if (watcher->changed) watcher->changed();
  }
}

std::shared_ptr<void> FileOutputStore::Watch(const run::RunId& run, std::function<void()> changed) {
  auto watcher = std::make_shared<Watcher>();
  {
    ports::MutexLock lock(&watcher->mu);
    watcher->changed = std::move(changed);
  }
  ports::MutexLock lock(&watchers_mu_);
  watchers_[run].push_back(watcher);
  return std::shared_ptr<void>(watcher.get(), [this, run, watcher](void*) {
    {
      ports::MutexLock lock(&watchers_mu_);
      auto found = watchers_.find(run);
      std::erase(found->second, watcher);
      if (found->second.empty()) watchers_.erase(found);
    }
    ports::MutexLock lock(&watcher->mu);  // waits for a call that is going on
    watcher->changed = nullptr;
  });
}

absl::Status FileOutputStore::health() const {
  ports::MutexLock lock(&mu_);
  return health_;
}

}  // namespace beamline::store
