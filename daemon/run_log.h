// The store as the engine sees it, with a line in the daemon's log for what people look for there:
// runs that start and end, attempts that fail, steps that are parked.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/mutex.h"

namespace beamline::daemon {

// Logs what has become durable, on the appending thread. Everything else it hands on.
class LoggedStore : public ports::EventStore {
 public:
  explicit LoggedStore(ports::EventStore& store) : store_(store) {}  // which outlives this

  // Called on the appending thread whenever something has become durable. Before the first Append.
  void OnAppended(std::function<void()> appended) { appended_ = std::move(appended); }

  absl::Status Append(absl::Span<const ports::RunEvents> batch) override;
  absl::Status ReadUnfinished(
      const std::function<void(const ports::RunRow&, absl::StatusOr<std::vector<run::Event>>)>&
          each) const override;

  absl::StatusOr<std::vector<run::Event>> Read(const run::RunId& id, uint64_t after_seq,
                                               size_t bytes_max) const override {
    return store_.Read(id, after_seq, bytes_max);
  }
  absl::StatusOr<ports::RunRow> GetRun(const run::RunId& id) const override {
    return store_.GetRun(id);
  }
  absl::StatusOr<std::vector<ports::RunRow>> ListRuns(const ports::RunQuery& query) const override {
    return store_.ListRuns(query);
  }
  absl::StatusOr<std::vector<run::RunId>> FindRuns(const std::string& tenant,
                                                   const std::string& part) const override {
    return store_.FindRuns(tenant, part);
  }
  absl::StatusOr<std::optional<Request>> FindRequest(const std::string& tenant,
                                                     const std::string& request_id) const override {
    return store_.FindRequest(tenant, request_id);
  }
  absl::StatusOr<std::optional<Keyed>> FindKey(const std::string& tenant,
                                               const std::string& flow_name,
                                               const std::string& key) const override {
    return store_.FindKey(tenant, flow_name, key);
  }
  absl::StatusOr<std::vector<run::RunId>> FindKeyed(const std::string& tenant,
                                                    const std::string& key) const override {
    return store_.FindKeyed(tenant, key);
  }
  absl::StatusOr<std::optional<Cached>> FindCached(const std::string& tenant,
                                                   const std::string& key) const override {
    return store_.FindCached(tenant, key);
  }
  absl::StatusOr<std::vector<ports::DeadLetterRow>> ListDeadLetters(
      const ports::DeadLetterQuery& query) const override {
    return store_.ListDeadLetters(query);
  }
  absl::StatusOr<uint64_t> CountDeadLetters(const std::string& tenant,
                                            uint64_t max) const override {
    return store_.CountDeadLetters(tenant, max);
  }
  absl::StatusOr<ports::DeadLetterRow> GetDeadLetter(const std::string& tenant,
                                                     uint64_t number) const override {
    return store_.GetDeadLetter(tenant, number);
  }
  absl::StatusOr<ports::FlowSource> GetFlow(const std::string& digest) const override {
    return store_.GetFlow(digest);
  }
  absl::Status DeleteRun(const run::RunId& id) override { return store_.DeleteRun(id); }
  absl::Status Checkpoint() override { return store_.Checkpoint(); }

 private:
  // What lines about a run have in common, small: there may be 100,000 runs.
  struct Context {
    std::array<char, 32> trace_id{};
    uint32_t flow = 0;  // index into flows_
  };
  struct FlowName {
    std::string name, digest;
  };
  void Remember(const run::RunStarted& started) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LogEvent(const run::RunId& id, const run::Event& event) ABSL_LOCKS_EXCLUDED(mu_);

  ports::EventStore& store_;
  std::function<void()> appended_;
  mutable ports::Mutex mu_;
  mutable absl::flat_hash_map<run::RunId, Context> contexts_ ABSL_GUARDED_BY(mu_);  // unfinished
  mutable std::vector<FlowName> flows_ ABSL_GUARDED_BY(mu_);
  mutable absl::flat_hash_map<std::string, uint32_t> flow_index_ ABSL_GUARDED_BY(mu_);  // by digest
};

}  // namespace beamline::daemon
