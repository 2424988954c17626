// The loop: commands in, facts to disk, effects out. One thread owns the state of all runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/engine/aside.h"
#include "daemon/engine/compiled_flow.h"
#include "daemon/engine/hub.h"
#include "daemon/engine/log_writer.h"
#include "daemon/engine/resolver.h"
#include "daemon/engine/step_artifacts.h"
#include "daemon/engine/survey.h"
#include "daemon/engine/tally.h"
#include "daemon/engine/turns.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/clock.h"
#include "daemon/ports/evaluator.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/vault.h"
#include "daemon/run/command.h"
#include "daemon/run/effect.h"
#include "daemon/run/state.h"

namespace beamline::engine {

// The world, as the engine needs it. All of it outlives the engine, but for the executor and the
// evaluator, which may end once Stop() has returned.
struct World {
  ports::EventStore& events;
  ports::BlobStore& blobs;
  ports::Evaluator& evaluator;
  ports::Executor& executor;
  ports::Vault& vault;
  ports::Clock& clock;
  const ports::Meter& meter;
};

struct EngineOptions {
  int attempts_max = 8;    // attempts of step kind `run` at once, over all runs
  uint64_t last_task = 0;  // the highest number that a task has had (TaskIndex::LastTask)
  // Called (once) on the engine's thread when nothing can be recorded any more: the process is to
  // end and to recover from disk.
  std::function<void(const absl::Status&)> fatal;
  // Called on the engine's thread when a run is over and on disk.
  std::function<void(const run::RunId&)> run_ended = [](const run::RunId&) {};
};

struct StartRequest {
  std::shared_ptr<const CompiledFlow> flow;
  std::string inputs_json;   // checked, with defaults (flowspec::CheckInputs)
  ports::Secrets sensitive;  // values of sensitive inputs
  run::Labels labels;
  std::string actor, tenant = "local", project = "default";
  std::string trace_id, workspace;
  // Where the workspace of a run is that comes without one; empty: `workspace` as it is.
  std::function<std::string(const run::RunId&)> workspace_of;
  std::string request_id;    // empty: not idempotent by itself
  std::string request_hash;  // of what makes two requests the same
  std::optional<run::Parent> parent;
  run::Value llm_answers;  // as RunStarted
  std::string trigger;     // JSON object of what starts it; empty: nothing but the request
  std::vector<run::BundledFlow> files;     // what sub-flows may name by path
  std::vector<ports::FlowSource> sources;  // of those files that may not be stored yet
  std::string flow_path;                   // of this flow among `files`
  std::vector<std::string> break_at;
  std::string only;
  std::optional<run::ReplayOf> replay_of;
  std::vector<run::StepReused> reused;  // of it
};

struct Started {
  run::RunId run;
  bool existing = false;  // the request id had started it before
};

// A run, or a step of it (`path`), that waits for its turn among those with the same `key`.
struct TurnWait {
  struct Holder {
    run::RunId run;
    std::string path;  // empty: the run has the turn
  };
  std::string path, key;
  std::vector<Holder> holders;  // longest first
  int ahead = 0;                // in the queue
};

class Engine {
 public:
  Engine(World world, EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Folds every unfinished run from the log. Before Start. Runs that cannot be read are left alone
  // and told in problems().
  absl::Status Recover();
  void Start();

  // `done` is called once the run is on disk; before that, on any thread, with a refusal.
  // AlreadyExists: the request id was used with another hash, or the flow's idempotency key with
  // other inputs.
  // FailedPrecondition: the flow refuses a second run with its key. Aborted: its concurrency is
  // used up and it does not queue. InvalidArgument: such a key does not come to a value.
  // Unavailable: draining.
  void StartRun(StartRequest request, std::function<void(absl::StatusOr<Started>)> done);
  // FailedPrecondition: finished. NotFound: no such run. Ok, too, if it is being cancelled already.
  void CancelRun(const run::RunId& run, std::string actor, std::string reason, bool force,
                 std::function<void(absl::Status)> done);
  // Keeps a signal for the run's waits; with an `id` that came before, changes nothing. `payload`
  // is JSON text of at most run::kSignalBytesMax bytes. NotFound; FailedPrecondition: finished.
  // ResourceExhausted: too many signals wait already.
  void SignalRun(const run::RunId& run, std::string actor, std::string name, std::string payload,
                 std::string id, std::function<void(absl::Status)> done);
  // Whose turns the run and its steps wait for at this moment. `turn`: RunRow::turn. `done` is
  // called on the engine's thread.
  void LookAtTurns(const run::RunId& run, std::string tenant, std::string turn,
                   std::function<void(std::vector<TurnWait>)> done);
  // The runs in memory that have been going on longest, and that have the most under way: at most
  // `runs_max` (1 or more) of each. `done` is called on the engine's thread.
  void LookAtRuns(size_t runs_max, std::function<void(Survey)> done);
  // Carries out what a person wishes (a RetryStep, SkipStep, DropStep, PauseRun, ResumePaused,
  // ReleaseStep, DecideTask, DelegateTask), once per request id: repeating it is Ok. Errors: as
  // run/intervene.h and run/approval.h; NotFound: no such run.
  void Intervene(const run::RunId& run, std::string actor, run::Wish wish,
                 std::function<void(absl::Status)> done);
  // As EventStore::DeleteRun.
  void DeleteRun(const run::RunId& run, std::function<void(absl::Status)> done);

  // Does `work` on the thread that writes to the store, between appends. After Stop: never.
  void Write(std::function<void()> work) { writer_.Do(std::move(work)); }

  // No new runs, no new attempts; returns when no attempt runs any more, or after `grace`.
  void Drain(absl::Duration grace);
  // Records what has been reported so far and ends the threads. Attempts that still run stay
  // recorded as running: the next start finds their outcome unknown.
  void Stop();

  // Thread-safe.
  Hub& hub() { return hub_; }
  FlowCache& flows() { return flows_; }
  struct Activity {
    uint64_t runs = 0;      // unfinished; without one, nothing runs, waits or is scheduled
    uint64_t attempts = 0;  // running
    bool draining = false;
  };
  Activity activity() const;
  const Tally& tally() const { return tally_; }
  // Of the engine's thread; runs that only wait are elsewhere.
  size_t runs_in_memory() const { return runs_.size(); }
  std::vector<std::string> problems() const;

  // One turn of the loop: takes what is in the mailbox, waiting at most `wait` for something; and
  // one of the writer. For tests; Start() does both on threads of their own.
  void Step(absl::Duration wait);
  bool StepWriter() { return writer_.Step(absl::ZeroDuration()); }
  void WaitForEvaluations() {
    reads_->Wait();
    aside_->Wait();
  }

 private:
  struct LiveRun {
    explicit LiveRun(run::RunState s) : state(std::move(s)) {}
    run::RunState state;
    std::shared_ptr<const CompiledFlow> flow;
    uint64_t dispatched = 0;  // order of the last effect handed out
    ports::RunStatus row_status = ports::RunStatus::kPending;
    absl::Time row_wake_at = absl::InfiniteFuture();
    absl::flat_hash_map<std::string, std::string> turns;  // by path of the step that has one
    absl::flat_hash_set<std::string> slots;               // paths that hold one
    absl::flat_hash_map<std::string, std::shared_ptr<const Items>> items;  // by path of the foreach
    StepArtifacts artifacts;
    std::vector<std::pair<absl::Time, uint64_t>> timers;  // keys in timers_
    bool park_later = false;                              // a kParkTimer is set
  };
  struct CommandMessage {
    run::RunId run;
    run::Command command;
    std::function<void(absl::Status)> reply;  // may be empty
    std::shared_ptr<const Items> items;       // of a ReportResolution of a foreach
  };
  struct StartMessage {
    run::RunId run;
    StartRequest request;
    Resolver::Keys keys;
    std::function<void(absl::StatusOr<Started>)> done;
  };
  struct AttemptMessage {  // from an executor, not yet reshaped
    run::RunId run;
    run::ReportAttempt report;
    bool counted = true;  // in attempts_count_
  };
  struct LoadedMessage {  // a run that only waited, read from the store
    run::RunId run;
    absl::StatusOr<ports::RunRow> row;
    absl::StatusOr<std::vector<run::Event>> events;
  };
  struct ChildMessage {  // a sub-flow has been started
    run::RunId parent;
    std::string path;
    int32_t attempt = 1;
    run::RunId child;
  };
  struct LookMessage {  // at turns
    run::RunId run;
    std::string tenant, turn;
    std::function<void(std::vector<TurnWait>)> done;
  };
  struct SurveyMessage {
    size_t runs_max = 1;
    std::function<void(Survey)> done;
  };
  struct WrittenMessage {
    absl::Status status;
  };
  struct DrainMessage {};
  using Message =
      std::variant<CommandMessage, StartMessage, AttemptMessage, LoadedMessage, ChildMessage,
                   LookMessage, SurveyMessage, WrittenMessage, DrainMessage>;

  // What has been decided and is not on disk yet.
  struct Mark {
    run::RunId run;
    uint64_t seq = 0;    // the run's last event in the batch
    uint64_t order = 0;  // effects up to this one may go out once it is on disk
    ports::RunStatus status = ports::RunStatus::kRunning;
  };
  struct Gathered {
    std::shared_ptr<Batch> batch = std::make_shared<Batch>();
    std::vector<Mark> marks;  // as *batch
    absl::flat_hash_map<run::RunId, size_t> index;
    std::vector<std::function<void()>> replies;
  };
  struct Starting {
    run::RunId run;
    std::string hash;
    absl::Time at;
  };
  struct Timer {
    run::RunId run;
    uint64_t order = 0;  // of the effect, or one of these:
  };
  static constexpr uint64_t kLoadTimer = 0;           // the run is not in memory
  static constexpr uint64_t kParkTimer = UINT64_MAX;  // it need not be any more, perhaps
  struct StepPlace {
    run::RunId run;
    std::string path;
    friend bool operator==(const StepPlace&, const StepPlace&) = default;
  };
  struct Waiting {  // for a slot
    run::RunId run;
    uint64_t order = 0;
  };

  void Post(Message message);
  void PostAll(std::vector<Message> messages);
  void BeginRun(StartRequest request, Resolver::Keys keys,
                std::function<void(absl::StatusOr<Started>)> done);
  absl::StatusOr<std::optional<Started>> FindKeyed(const StartRequest& request,
                                                   const std::string& key) const;
  bool AnswerRepeated(StartMessage& message);
  void Remember(const std::string& name, const run::RunId& run, std::string hash);
  absl::Status TakeTurn(const StartMessage& message, run::RunStarted* start);
  void Command(const run::RunId& run, std::string actor, run::Wish wish,
               std::function<void(absl::Status)> done);
  void Handle(CommandMessage message);
  void Handle(StartMessage message);
  void Handle(AttemptMessage message);
  void Handle(LoadedMessage message);
  void Handle(const ChildMessage& message);
  void Handle(const LookMessage& message);
  void Handle(const SurveyMessage& message);
  void Handle(const WrittenMessage& message);
  void Handle(DrainMessage message);

  struct NewRun {  // what its first batch brings besides events
    std::vector<ports::FlowSource> flows;
    std::string key, key_hash;
  };
  void Record(LiveRun& live, std::vector<run::Event> events, NewRun fresh = {});
  void Count(LiveRun& live, ports::RunStatus status, const std::vector<run::Event>& events);
  void Submit();
  // Nothing else is to be done until `batch`, a small one, is on disk.
  bool IsAlone(const Batch& batch) const;
  void Settle(const Mark& mark);  // a run's part of a batch is on disk
  void End(LiveRun& live);
  void PassTurn(const std::string& turn);
  void LetBackIn(const LiveRun& live);

  // Runs that only wait are not kept in memory (engine_parking.cc).
  bool OnlyWaits(const LiveRun& live) const;
  void ParkIfIdle(LiveRun& live);
  void Park(LiveRun& live);
  LoadedMessage ReadParked(const run::RunId& run) const;  // any thread
  void LoadRuns();
  absl::Status Adopt(LoadedMessage& message);
  void LetGo(const run::RunId& run);
  void WakeLater(const run::RunId& run, absl::Time at);

  // Steps that the engine carries out itself: sub-flows and signals (engine_children.cc).
  void StartChild(LiveRun& live, const ports::Attempt& attempt);
  void StartChildAside(const ports::Attempt& attempt, StartRequest request, const std::string& uses,
                       const std::string& inputs, bool detach);
  static absl::StatusOr<std::string> ChildDigest(const std::string& uses, StartRequest* request);
  void StopChild(const LiveRun& live, const std::string& path, int32_t attempt, bool force);
  // The attempt's `timeout` is over: it has failed, and its run is stopped.
  void TimeOutChild(const LiveRun& live, const std::string& path, int32_t attempt);
  void ReportToParent(const run::RunState& state);
  void SendSignal(const ports::Attempt& attempt);
  void Broadcast(const ports::Attempt& attempt, const std::string& name, const std::string& payload,
                 const std::vector<run::RunId>& runs);
  void PostReport(const ports::Attempt& attempt, run::ReportAttempt report);

  // Steps whose number at a time is limited (engine_turns.cc).
  bool AwaitTurn(LiveRun& live, CommandMessage& message);
  void LeaveTurn(LiveRun& live, const std::string& path);
  void PassStepTurn(const std::string& line);
  void ReleaseTurns(LiveRun& live, const std::vector<run::Event>& events);

  void Dispatch(LiveRun& live, uint64_t up_to);
  void Dispatch(LiveRun& live, const run::Effect& effect);
  void Resolve(LiveRun& live, const run::Effect& effect, const run::ResolveStep& resolve);
  void Run(LiveRun& live, const std::string& path, const run::RunAttempt& attempt);
  void SetTimer(LiveRun& live, absl::Time at, uint64_t order);
  void FireTimers();
  absl::Duration UntilTimer(absl::Duration wait) const;

  static bool NeedsSlot(const LiveRun& live, const run::Effect& effect);
  void ReleaseSlots(LiveRun& live, const std::vector<run::Event>& events);
  void ReleaseSlot(LiveRun& live, const std::string& path);
  void FillSlots();

  void RecoverRun(const ports::RunRow& row, absl::StatusOr<std::vector<run::Event>> events);
  void RecoverTurn(const ports::RunRow& row);
  void RecoverParked(const ports::RunRow& row);
  absl::StatusOr<std::shared_ptr<const CompiledFlow>> PinnedFlow(const std::string& digest);
  LiveRun* Find(const run::RunId& run);
  ItemsOf ItemsLoader(LiveRun& live);
  static void ForgetItems(LiveRun& live, const std::vector<run::Event>& events);
  void AddProblem(std::string problem);
  void CountRuns();

  World world_;
  EngineOptions options_;
  Hub hub_;
  FlowCache flows_{256};
  Resolver resolver_;
  LogWriter writer_;

  // Of the engine's thread.
  absl::flat_hash_map<run::RunId, std::unique_ptr<LiveRun>> runs_;
  absl::flat_hash_map<std::string, Starting> starting_;  // recent ones, by tenant/request id
  std::deque<std::string> starting_order_;
  std::deque<CommandMessage> local_;  // commands that the engine gave itself
  Gathered gathering_;                // decided since
  std::optional<Gathered> writing_;
  absl::btree_map<std::pair<absl::Time, uint64_t>, Timer> timers_;
  absl::flat_hash_map<run::RunId, std::pair<absl::Time, uint64_t>> parked_;  // with a timer
  absl::flat_hash_map<run::RunId, std::vector<CommandMessage>> loading_;
  std::vector<run::RunId> to_load_;  // of those, what nobody reads yet
  uint64_t parked_count_ = 0;
  absl::flat_hash_set<run::RunId> lost_;  // unfinished, and their log or flow cannot be read
  Turns<run::RunId> run_turns_;
  Turns<StepPlace> step_turns_;
  uint64_t last_timer_ = 0;
  uint64_t last_task_;
  int slots_free_;
  std::deque<Waiting> waiting_;
  bool draining_ = false;
  bool failed_ = false;
  absl::flat_hash_map<std::string, std::shared_ptr<const CompiledFlow>> pinned_;  // by digest
  std::vector<std::string> recovered_lines_;  // with queued runs; likewise

  mutable ports::Mutex mu_;
  std::vector<Message> mailbox_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::string> problems_ ABSL_GUARDED_BY(mu_);

  Tally tally_;
  std::atomic<uint64_t> runs_count_{0};
  std::atomic<uint64_t> attempts_count_{0};
  std::atomic<bool> draining_flag_{false};

  // Of one thread: what reads logs does not stand in line behind what waits for evaluations.
  std::unique_ptr<Aside> reads_;
  std::unique_ptr<Aside> aside_;
  std::thread thread_;
};

}  // namespace beamline::engine
