// The event store in memory, with the contract of the one on disk: for tests and --ephemeral.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/mutex.h"

namespace beamline::store {

class MemoryStore : public ports::EventStore {
 public:
  absl::Status Append(absl::Span<const ports::RunEvents> batch) override;
  absl::StatusOr<std::vector<run::Event>> Read(const run::RunId& id, uint64_t after_seq,
                                               size_t bytes_max) const override;
  absl::Status ReadUnfinished(
      const std::function<void(const ports::RunRow&, absl::StatusOr<std::vector<run::Event>>)>&
          each) const override;
  absl::StatusOr<ports::RunRow> GetRun(const run::RunId& id) const override;
  absl::StatusOr<std::vector<ports::RunRow>> ListRuns(const ports::RunQuery& query) const override;
  absl::StatusOr<std::vector<run::RunId>> FindRuns(const std::string& tenant,
                                                   const std::string& part) const override;
  absl::StatusOr<std::optional<Request>> FindRequest(const std::string& tenant,
                                                     const std::string& request_id) const override;
  absl::StatusOr<std::optional<Keyed>> FindKey(const std::string& tenant,
                                               const std::string& flow_name,
                                               const std::string& key) const override;
  absl::StatusOr<std::vector<run::RunId>> FindKeyed(const std::string& tenant,
                                                    const std::string& key) const override;
  absl::StatusOr<std::optional<Cached>> FindCached(const std::string& tenant,
                                                   const std::string& key) const override;
  absl::StatusOr<ports::FlowSource> GetFlow(const std::string& digest) const override;
  absl::Status DeleteRun(const run::RunId& id) override;
  absl::Status Checkpoint() override { return absl::OkStatus(); }

 private:
  struct Stored {
    ports::RunRow row;
    std::vector<std::string> decisions;  // encoded, as on disk: compact
    std::vector<uint64_t> last_seqs;     // of each decision
    std::string request_id, request_hash;
  };
  static absl::StatusOr<std::vector<run::Event>> ReadStored(const Stored& run, uint64_t after_seq,
                                                            size_t bytes_max);
  absl::Status Check(absl::Span<const ports::RunEvents> batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Add(const ports::RunEvents& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable ports::Mutex mu_;
  std::map<run::RunId, Stored> runs_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ports::FlowSource> flows_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, run::RunId> requests_ ABSL_GUARDED_BY(mu_);
  // By tenant, key and flow; by tenant and key.
  std::map<std::tuple<std::string, std::string, std::string>, run::RunId> keys_
      ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, Cached> cache_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::store
