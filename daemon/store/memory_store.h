// The event store in memory, with the contract of the one on disk: for tests and --ephemeral.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/ports/followed_log.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/task_index.h"

namespace beamline::store {

class MemoryStore : public ports::EventStore,
                    public ports::FlowRegistry,
                    public ports::TaskIndex,
                    public ports::FollowedLog {
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
  absl::StatusOr<std::vector<ports::DeadLetterRow>> ListDeadLetters(
      const ports::DeadLetterQuery& query) const override;
  absl::StatusOr<uint64_t> CountDeadLetters(const std::string& tenant, uint64_t max) const override;
  absl::StatusOr<ports::DeadLetterRow> GetDeadLetter(const std::string& tenant,
                                                     uint64_t number) const override;
  absl::StatusOr<ports::FlowSource> GetFlow(const std::string& digest) const override;
  absl::Status DeleteRun(const run::RunId& id) override;
  absl::Status Checkpoint() override { return absl::OkStatus(); }

  // FlowRegistry (memory_flows.cc).
  absl::StatusOr<ports::Registered> Register(const ports::Registration& registration) override;
  absl::Status Remove(const Removal& removal) override;
  absl::Status Change(absl::Span<const ports::TriggerChange> changes) override;
  absl::StatusOr<ports::FlowVersion> CurrentFlow(const std::string& tenant,
                                                 const std::string& name) const override;
  absl::StatusOr<std::vector<ports::FlowVersion>> ListFlows(
      const ports::FlowQuery& query) const override;
  absl::StatusOr<std::vector<ports::FlowVersion>> FlowHistory(const std::string& tenant,
                                                              const std::string& name,
                                                              uint64_t before,
                                                              int limit) const override;
  absl::StatusOr<std::vector<ports::FlowVersion>> FindVersions(
      const std::string& tenant, const std::string& name,
      const std::string& digest_part) const override;
  absl::StatusOr<std::vector<ports::TriggerRow>> ListTriggers(
      const std::string& tenant, const std::string& name) const override;
  absl::StatusOr<std::vector<ports::DueStart>> ListDue() const override;
  uint64_t due_by_runs() const override { return due_by_runs_; }

  // TaskIndex (memory_tasks.cc).
  absl::StatusOr<std::vector<ports::TaskRow>> ListTasks(
      const ports::TaskQuery& query) const override;
  absl::StatusOr<uint64_t> CountTasks(const std::string& tenant) const override;
  absl::StatusOr<ports::TaskRow> GetTask(const std::string& tenant, uint64_t task) const override;
  absl::StatusOr<uint64_t> LastTask() const override;

  // FollowedLog (memory_log.cc).
  absl::StatusOr<std::vector<Entry>> ReadLog(uint64_t position, int entries_max,
                                             size_t bytes_max) const override;
  absl::StatusOr<uint64_t> LogEnd() const override;
  absl::StatusOr<std::map<std::string, uint64_t>> Cursors() const override;
  absl::Status MoveCursor(const std::string& follower, uint64_t position) override;
  absl::Status DropCursor(const std::string& follower) override;

 private:
  struct Stored {
    ports::RunRow row;
    std::vector<std::string> decisions;  // encoded, as on disk: compact
    std::vector<uint64_t> last_seqs;     // of each decision
    std::vector<uint64_t> positions;     // likewise: keys of log_
    std::string request_id, request_hash;
    std::map<std::string, uint64_t> letters;  // numbers of dead letters, by path
  };
  static absl::StatusOr<std::vector<run::Event>> ReadStored(const Stored& run, uint64_t after_seq,
                                                            size_t bytes_max);
  absl::Status Check(absl::Span<const ports::RunEvents> batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Add(const ports::RunEvents& events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  using Name = std::pair<std::string, std::string>;  // tenant, flow
  // The current version; null if the name is not taken now.
  const ports::FlowVersion* Current(const Name& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddVersion(ports::FlowVersion* version, const std::string& request_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReplaceTriggers(const Name& name, const std::vector<ports::TriggerSpec>& specs,
                       absl::Time at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ApplyTasks(const ports::RunRow& row, absl::Span<const run::Event> events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Owes starts to what waits for the end of this run.
  void Owe(const ports::RunRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable ports::Mutex mu_;
  std::map<run::RunId, Stored> runs_ ABSL_GUARDED_BY(mu_);
  struct Place {
    run::RunId run;
    size_t decision = 0;
  };
  std::map<uint64_t, Place> log_ ABSL_GUARDED_BY(mu_);
  uint64_t log_end_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, uint64_t> cursors_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, ports::FlowSource> flows_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, run::RunId> requests_ ABSL_GUARDED_BY(mu_);
  // By tenant, key and flow; by tenant and key.
  struct KeyOwner {
    run::RunId id;
    std::string hash;
  };
  std::map<std::tuple<std::string, std::string, std::string>, KeyOwner> keys_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, Cached> cache_ ABSL_GUARDED_BY(mu_);
  struct StoredTask {
    ports::TaskRow row;
    std::string barred;
    std::set<std::string> voters;
    std::map<std::string, std::string> away;  // whose vote was handed on → to whom
  };
  std::map<uint64_t, StoredTask> tasks_ ABSL_GUARDED_BY(mu_);
  uint64_t last_task_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<Name, std::vector<ports::FlowVersion>> versions_ ABSL_GUARDED_BY(mu_);  // oldest first
  std::map<std::pair<std::string, std::string>, ports::FlowVersion> flow_requests_
      ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, ports::TriggerRow> triggers_ ABSL_GUARDED_BY(mu_);  // digest: at reading
  std::map<uint64_t, ports::DueStart> due_ ABSL_GUARDED_BY(mu_);
  void Apply(Stored& run, const run::DeadLetterChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::map<uint64_t, ports::DeadLetterRow> letters_ ABSL_GUARDED_BY(mu_);
  uint64_t last_letter_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_trigger_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_due_ ABSL_GUARDED_BY(mu_) = 0;
  std::atomic<uint64_t> due_by_runs_{0};
};

}  // namespace beamline::store
