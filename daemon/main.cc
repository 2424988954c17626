// beamlined: puts the rooms together, and takes them apart in order. The only file that names
// concrete classes.
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/config.h"
#include "daemon/data_dir.h"
#include "daemon/engine/engine.h"
#include "daemon/exec/evaluator_child.h"
#include "daemon/exec/evaluator_pool.h"
#include "daemon/exec/executors.h"
#include "daemon/exec/http_client.h"
#include "daemon/exec/http_executor.h"
#include "daemon/exec/llm_executor.h"
#include "daemon/exec/llm_meter.h"
#include "daemon/exec/process_executor.h"
#include "daemon/exec/provision.h"
#include "daemon/exec/scratch.h"
#include "daemon/exec/supervisor.h"
#include "daemon/exec/system_clock.h"
#include "daemon/exec/worker_executor.h"
#include "daemon/log.h"
#include "daemon/notify/notifier.h"
#include "daemon/rpc/server.h"
#include "daemon/rpc/worker_dialer.h"
#include "daemon/run_log.h"
#include "daemon/schedule/scheduler.h"
#include "daemon/service_manager.h"
#include "daemon/startup_pages.h"
#include "daemon/store/blob_store.h"
#include "daemon/store/memory_blob_store.h"
#include "daemon/store/memory_store.h"
#include "daemon/store/output_store.h"
#include "daemon/store/sqlite_store.h"
#include "daemon/store/vault.h"
#include "daemon/termination.h"

namespace beamline::daemon {
namespace {

// sysexits.h, as far as service managers look at it.
constexpr int kExitUsage = 2, kExitIo = 74, kExitInUse = 75, kExitConfig = 78;

// What the supervisor and the evaluators are connected by.
constexpr int kChildSocket = 3;

// How long calls may go on once all work has ended: they get their answers, streams their end.
constexpr absl::Duration kCallGrace = absl::Milliseconds(200);
constexpr absl::Duration kDrainPoll = absl::Milliseconds(20);

int ExitCodeFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kAlreadyExists:
      return kExitInUse;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDataLoss:
      return kExitIo;
    default:
      return kExitConfig;
  }
}

// A start that failed is told to people: one line, not JSON.
int Fail(int exit_code, absl::string_view message) {
  const std::string line = absl::StrCat("beamlined: ", message, "\n");
  std::fputs(line.c_str(), stderr);
  return exit_code;
}

int Fail(const absl::Status& status) { return Fail(ExitCodeFor(status), status.message()); }

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// Where an ephemeral daemon keeps what must be files, removed with it.
class TemporaryDirectory {
 public:
  absl::Status Make() {
    std::string path = Variable("TMPDIR");
    path = (path.empty() ? "/tmp" : path) + "/beamlined-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
    }
    path_ = path;
    return absl::OkStatus();
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What no step's state shows: a worker answered after its lease was over.
void LogLateResult(const exec::LateResult& late) {
  Log(LogLevel::kWarn, "late result of a worker: not applied",
      {{"run_id", late.key.run.ToString()},
       {"path", late.key.path},
       {"attempt", late.key.attempt},
       {"lease_epoch", static_cast<int64_t>(late.epoch)},
       {"worker_id", late.worker},
       {"outcome", late.outcome},
       {"output_bytes", static_cast<int64_t>(late.output_bytes)},
       {"output_sha256", late.output_sha256}});
}

// An error quotes what a receiver said, never what it was told.
void LogTrouble(const notify::Trouble& trouble) {
  Log(LogLevel::kWarn, trouble.given_up ? "notify: given up" : "notify: not delivered",
      {{"sink", trouble.sink},
       {"occasion", notify::IdOf(trouble.occasion)},
       {"error", trouble.error},
       {"tries", trouble.tries},
       {"given_up", static_cast<int64_t>(trouble.given_up_count)},
       {"next_try_s", absl::ToInt64Seconds(trouble.next_try)}});
}

class Daemon {
 public:
  explicit Daemon(Config config) : config_(std::move(config)) {}

  int Run() {
    StartLog(config_.log_level);
    const std::string service_socket = Variable("NOTIFY_SOCKET");
    unsetenv("NOTIFY_SOCKET");  // steps are not the service
    if (absl::Status status = Open(); !status.ok()) return Fail(status);
    if (absl::Status status = StartWork(); !status.ok()) return Fail(status);
    TellServiceManager(service_socket, "READY=1");
    AwaitEnd();
    TellServiceManager(service_socket, "STOPPING=1");
    End();
    return 0;
  }

 private:
  // Claims what only one daemon may have, then opens the stores. Clients may connect from here on;
  // they are answered once the work has started.
  absl::Status Open() {
    if (config_.ephemeral) {
      if (absl::Status made = temporary_.Make(); !made.ok()) return made;
      config_.data_dir = temporary_.path();
    }
    absl::StatusOr<DataDirLock> lock = DataDirLock::Acquire(config_.data_dir);
    if (!lock.ok()) return lock.status();
    lock_.emplace(*std::move(lock));
    absl::StatusOr<std::unique_ptr<rpc::Listener>> listener = rpc::Listener::Bind(config_.socket);
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    if (absl::Status network = OpenNetwork(); !network.ok()) return network;
    auto outputs = store::FileOutputStore::Open(config_.data_dir + "/output");
    if (!outputs.ok()) return outputs.status();
    outputs_ = *std::move(outputs);
    return config_.ephemeral ? OpenInMemory() : OpenOnDisk();
  }

  absl::Status OpenNetwork() {
    if (config_.listen.empty()) return absl::OkStatus();
    if (!config_.insecure_loopback) {
      auto tls =
          rpc::TlsSource::Open({config_.tls_cert, config_.tls_key, config_.tls_ca}, absl::Now());
      if (!tls.ok()) return tls.status();
      tls_ = *std::move(tls);
    }
    auto listener = rpc::Listener::BindTcp(config_.listen, config_.insecure_loopback);
    if (!listener.ok()) return listener.status();
    network_listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  absl::Status OpenInMemory() {
    auto store = std::make_unique<store::MemoryStore>();
    registry_ = store.get();
    tasks_ = store.get();
    followed_ = store.get();
    store_ = std::move(store);
    blobs_ = std::make_unique<store::MemoryBlobStore>();
    vault_ = std::make_unique<store::MemoryVault>();
    return absl::OkStatus();
  }

  absl::Status OpenOnDisk() {
    auto store = store::SqliteStore::Open(config_.data_dir);
    if (!store.ok()) return store.status();
    auto blobs = store::FileBlobStore::Open(config_.data_dir + "/blobs");
    if (!blobs.ok()) return blobs.status();
    auto vault = store::FileVault::Open(config_.data_dir + "/vault");
    if (!vault.ok()) return vault.status();
    registry_ = store->get();
    tasks_ = store->get();
    followed_ = store->get();
    store_ = *std::move(store);
    blobs_ = *std::move(blobs);
    // A crash between a run's end and this forgetting leaves what nobody will ask for again.
    for (const run::RunId& run : (*vault)->Runs()) {
      const auto row = store_->GetRun(run);
      if (absl::IsNotFound(row.status()) || (row.ok() && ports::IsFinished(row->status))) {
        (*vault)->Forget(run);
      }
    }
    vault_ = *std::move(vault);
    return absl::OkStatus();
  }

  absl::Status AddExecutors(const std::string& work_dir) {
    processes_ = std::make_unique<exec::ProcessExecutor>(
        exec::ProcessExecutor::Options{.work_dir = work_dir}, *outputs_, *blobs_);
    executors_->Add(flowspec::StepKind::kRun, *processes_);
    // Who may use this daemon's unix socket may reach this machine's ports anyway.
    absl::StatusOr<exec::HttpGuard> guard =
        exec::HttpGuard::Parse(config_.http_allow, /*loopback_by_name=*/config_.listen.empty());
    if (!guard.ok()) {
      return absl::FailedPreconditionError(absl::StrCat("http_allow: ", guard.status().message()));
    }
    if (!config_.http_ca_file.empty() && access(config_.http_ca_file.c_str(), R_OK) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("http_ca_file: cannot read ", config_.http_ca_file));
    }
    http_client_ = std::make_unique<exec::HttpClient>(exec::HttpClient::Options{
        .guard = *std::move(guard), .proxy = config_.http_proxy, .ca_file = config_.http_ca_file});
    http_ = std::make_unique<exec::HttpExecutor>(*http_client_, "beamline/" BEAMLINE_VERSION);
    executors_->Add(flowspec::StepKind::kHttp, *http_);
    llm_ = std::make_unique<exec::LlmExecutor>(*http_client_, config_.models,
                                               "beamline/" BEAMLINE_VERSION, *outputs_);
    executors_->Add(flowspec::StepKind::kLlm, *llm_);
    workers_ = std::make_unique<exec::WorkerExecutor>(
        exec::WorkerExecutor::Options{.late = LogLateResult}, *outputs_, *blobs_);
    executors_->Add(flowspec::StepKind::kWorker, *workers_);
    provision_ = std::make_unique<exec::ConfiguredProvision>(
        config_.models, exec::SecretRules{.local = config_.secrets_local});
    return absl::OkStatus();
  }

  absl::Status StartWork() {
    const std::string work_dir = config_.data_dir + "/scratch";
    logged_ = std::make_unique<LoggedStore>(*store_);
    evaluator_ = std::make_unique<exec::EvaluatorPool>(
        exec::EvaluatorPool::Options{.command = {"/proc/self/exe", "--evaluator"}});
    executors_.emplace(exec::SecretRules{.local = config_.secrets_local});
    if (absl::Status added = AddExecutors(work_dir); !added.ok()) return added;
    meter_ = std::make_unique<exec::LlmMeter>(config_.models);
    engine::EngineOptions options;
    options.attempts_max = config_.max_parallel;
    const absl::StatusOr<uint64_t> last_task = tasks_->LastTask();
    if (!last_task.ok()) return last_task.status();
    options.last_task = *last_task;
    options.fatal = [this](const absl::Status& status) { EndAtOnce(status); };
    options.run_ended = [this, work_dir](const run::RunId& run) {
      // Runs without processes have no scratch directory, and the executor need not hear of them.
      if (access((work_dir + "/" + run.ToString()).c_str(), F_OK) == 0) processes_->ForgetRun(run);
      scheduler_->RunEnded(run);
    };
    engine_ = std::make_unique<engine::Engine>(
        engine::World{*logged_, *blobs_, *evaluator_, *executors_, *vault_, clock_, *meter_},
        std::move(options));
    const absl::Time before = absl::Now();
    if (absl::Status recovered = engine_->Recover(); !recovered.ok()) return recovered;
    MakeScheduler(work_dir);
    if (absl::Status loaded = scheduler_->Load(); !loaded.ok()) return loaded;
    if (absl::Status loaded = LoadNotifier(); !loaded.ok()) return loaded;
    Log(LogLevel::kInfo, "started",
        {{"version", BEAMLINE_VERSION},
         {"pid", getpid()},
         {"data_dir", config_.data_dir},
         {"socket", config_.socket},
         {"listen", Listen()},
         {"recovered_runs", static_cast<int64_t>(engine_->activity().runs)},
         {"recovery_ms", absl::ToInt64Milliseconds(absl::Now() - before)}});
    for (const std::string& problem : engine_->problems()) {
      Log(LogLevel::kError, "problem", {{"problem", problem}});
    }
    ReleaseStartupPages();
    engine_->Start();
    scheduler_->Start();
    notifier_->Start();
    StartServer(before, work_dir);
    return absl::OkStatus();
  }

  // Where the network is served; "" if it is not.
  std::string Listen() const {
    return network_listener_ == nullptr ? "" : network_listener_->where();
  }

  // Where runs work that come from elsewhere.
  static std::function<std::string(const run::RunId&)> WorkspaceOf(const std::string& work_dir) {
    return [work_dir](const run::RunId& run) { return exec::WorkspaceOf(work_dir, run); };
  }

  void StartServer(absl::Time started_at, const std::string& work_dir) {
    rpc::About about{.data_dir = config_.data_dir,
                     .socket = config_.socket,
                     .durability = config_.ephemeral ? "memory" : "sqlite, WAL, synchronous=FULL",
                     .listen = Listen(),
                     .started_at = started_at,
                     .shut_down = [this](absl::Duration grace) { termination_.Ask(grace); }};
    about.notify_problems = [this] { return notifier_->Problems(absl::Now()); };
    if (tls_ != nullptr) about.tls_problem = [this] { return tls_->problem(absl::Now()); };
    const auto on_certificates = [](const rpc::TlsSource::News& news) {
      Log(news.fresh ? LogLevel::kInfo : LogLevel::kWarn,
          news.fresh ? "certificates read anew" : "certificates not used", {{"reason", news.text}});
    };
    server_ = std::make_unique<rpc::Server>(
        rpc::Served{*engine_, *logged_, *registry_, *blobs_, *outputs_, clock_,
                    [this](const std::string& tenant, const std::string& flow) {
                      scheduler_->FlowChanged(tenant, flow);
                    },
                    WorkspaceOf(work_dir), *workers_, *provision_, *tasks_, config_.groups},
        std::move(about), *listener_,
        rpc::Network{network_listener_.get(), tls_.get(), on_certificates},
        [](const std::string& warning) {
          Log(LogLevel::kWarn, "connection refused", {{"reason", warning}});
        });
    std::vector<rpc::WorkerEndpoint> endpoints;
    for (const Config::Worker& worker : config_.workers) {
      endpoints.push_back({worker.endpoint, worker.queue});
    }
    dialer_ = std::make_unique<rpc::WorkerDialer>(
        *workers_, std::move(endpoints), [](const std::string& warning) {
          Log(LogLevel::kWarn, "worker not reached", {{"reason", warning}});
        });
  }

  void MakeScheduler(const std::string& work_dir) {
    schedule::Hands hands{
        *registry_,
        {*logged_, *blobs_, *evaluator_, clock_, engine_->flows(), WorkspaceOf(work_dir)},
        {},
        {},
        {},
        {}};
    hands.write = [this](std::function<void()> work) { engine_->Write(std::move(work)); };
    hands.start = [this](engine::StartRequest request,
                         std::function<void(absl::StatusOr<engine::Started>)> done) {
      engine_->StartRun(std::move(request), std::move(done));
    };
    hands.decided = [](const ports::TriggerRow& trigger, const ports::TriggerDecision& decision) {
      Log(decision.decision == "failed" ? LogLevel::kWarn : LogLevel::kInfo, "trigger",
          {{"flow", trigger.flow},
           {"trigger", trigger.spec.key},
           {"scheduled_at", absl::FormatTime(decision.scheduled_at, absl::UTCTimeZone())},
           {"decision", decision.decision},
           {"reason", decision.reason}});
    };
    hands.fatal = [this](const absl::Status& status) { EndAtOnce(status); };
    scheduler_ = std::make_unique<schedule::Scheduler>(std::move(hands));
  }

  absl::Status LoadNotifier() {
    notify::Hands hands{*followed_, *store_, *tasks_, clock_, {}, LogTrouble, {}, {}};
    hands.write = [this](std::function<void()> work) { engine_->Write(std::move(work)); };
    hands.unreadable = [](const std::string& sink, const absl::Status& status) {
      Log(LogLevel::kError, "notify: left out",
          {{"sink", sink}, {"reason", std::string(status.message())}});
    };
    hands.fatal = [this](const absl::Status& status) { EndAtOnce(status); };
    notifier_ = std::make_unique<notify::Notifier>(std::move(hands));
    // Where nobody is to be told, appending costs what it always does.
    if (!config_.notify.empty()) logged_->OnAppended([this] { notifier_->Appended(); });
    return notifier_->Load(config_.notify, [this](const notify::Rule& rule) {
      return rule.command.empty()
                 ? notify::MakeWebhookCourier(rule, *http_client_, "beamline/" BEAMLINE_VERSION)
                 : notify::MakeCommandCourier(rule, config_.data_dir + "/notify-" + rule.name,
                                              *blobs_);
    });
  }

  // Until somebody asks, or nobody needs the daemon any more.
  void AwaitEnd() {
    const bool forever = config_.idle_timeout == absl::ZeroDuration();
    const absl::Duration look =
        forever ? absl::InfiniteDuration()
                : std::clamp(config_.idle_timeout / 10, absl::Milliseconds(50), absl::Minutes(1));
    absl::Duration idle = absl::ZeroDuration();
    uint64_t connections_before = 0;
    while (termination_.Wait(look) == 0) {
      const rpc::Server::Connections connections = server_->connections();
      const bool used = engine_->activity().runs > 0 || scheduler_->pending() > 0 ||
                        notifier_->busy() || connections.open > 0 ||
                        connections.total != connections_before;
      connections_before = connections.total;
      idle = used ? absl::ZeroDuration() : idle + look;
      if (idle < config_.idle_timeout) continue;
      Log(LogLevel::kInfo, "ending: idle");
      return;
    }
    Log(LogLevel::kInfo, "ending: asked to");
  }

  // Each part ends before what it uses. The socket goes last: once nobody listens, a next daemon
  // finds everything free.
  void End() {
    server_->SetServing(false);
    engine_->Drain(absl::ZeroDuration());
    workers_->DrainAll();
    const absl::Time until = absl::Now() + termination_.grace().value_or(config_.grace);
    const int asked = termination_.Wait(absl::ZeroDuration());
    while (engine_->activity().attempts > workers_->waiting() && absl::Now() < until &&
           termination_.Wait(kDrainPoll) == asked) {
    }
    const auto left = static_cast<int64_t>(engine_->activity().attempts);
    dialer_.reset();
    server_->Stop(kCallGrace);
    scheduler_->Stop();
    notifier_->Stop();
    engine_->Stop();
    notifier_.reset();
    processes_.reset();
    http_client_.reset();
    workers_.reset();
    evaluator_.reset();
    if (absl::Status status = store_->Checkpoint(); !status.ok()) {
      Log(LogLevel::kWarn, "checkpoint failed; the next start reads the log instead",
          {{"reason", std::string(status.message())}});
    }
    Log(LogLevel::kInfo, "ended", {{"attempts_cut_off", left}});
    server_.reset();
    scheduler_.reset();
    engine_.reset();
    logged_.reset();
    store_.reset();
    outputs_.reset();
    lock_->Release();
    if (network_listener_ != nullptr) network_listener_->Close();
    listener_->Close();
  }

  // Nothing can be recorded any more, so nothing may be done any more.
  [[noreturn]] void EndAtOnce(const absl::Status& status) {
    const bool full = absl::IsResourceExhausted(status);
    Log(LogLevel::kError,
        absl::StrCat("cannot record any more: ", status.message(), ". ",
                     full ? "Make room on" : "Look at the disk below", " the data directory ",
                     config_.data_dir,
                     ", then start beamlined again: it goes on from what is recorded"),
        {{"data_dir", config_.data_dir}});
    _exit(kExitIo);
  }

  Config config_;
  Termination termination_;
  TemporaryDirectory temporary_;
  std::optional<DataDirLock> lock_;
  std::unique_ptr<rpc::Listener> listener_, network_listener_;
  std::unique_ptr<rpc::TlsSource> tls_;
  std::unique_ptr<ports::EventStore> store_;
  ports::FlowRegistry* registry_ = nullptr;  // the same store
  ports::TaskIndex* tasks_ = nullptr;        // the same store
  ports::FollowedLog* followed_ = nullptr;   // the same store
  std::unique_ptr<ports::BlobStore> blobs_;
  std::unique_ptr<ports::OutputStore> outputs_;
  std::unique_ptr<ports::Vault> vault_;
  exec::SystemClock clock_;
  std::unique_ptr<LoggedStore> logged_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<exec::EvaluatorPool> evaluator_;
  std::unique_ptr<exec::LlmMeter> meter_;
  std::optional<exec::Executors> executors_;
  std::unique_ptr<exec::ProcessExecutor> processes_;
  std::unique_ptr<schedule::Scheduler> scheduler_;
  std::unique_ptr<notify::Notifier> notifier_;
  std::unique_ptr<exec::HttpExecutor> http_;
  std::unique_ptr<exec::LlmExecutor> llm_;
  std::unique_ptr<exec::HttpClient> http_client_;
  std::unique_ptr<exec::WorkerExecutor> workers_;
  std::unique_ptr<exec::ConfiguredProvision> provision_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<rpc::WorkerDialer> dialer_;
};

int Main(const std::vector<std::string>& arguments) {
  const absl::StatusOr<Config> config = LoadConfig(arguments, Variable);
  if (!config.ok()) {
    return Fail(absl::IsInvalidArgument(config.status()) ? kExitUsage : kExitConfig,
                config.status().message());
  }
  switch (config->ask) {
    case Config::Ask::kHelp:
      std::fputs(HelpText().c_str(), stdout);
      return 0;
    case Config::Ask::kVersion:
      std::puts("beamlined " BEAMLINE_VERSION);
      return 0;
    case Config::Ask::kServe:
      break;
  }
  return Daemon(*config).Run();
}

}  // namespace
}  // namespace beamline::daemon

int main(int argc, char** argv) {
  // Copies of this program that serve the daemon; nothing else may happen in them.
  if (argc == 2 && std::string_view(argv[1]) == "--supervise") {
    return beamline::exec::SupervisorMain(beamline::daemon::kChildSocket);
  }
  if (argc == 2 && std::string_view(argv[1]) == "--evaluator") {
    return beamline::exec::EvaluatorMain(beamline::daemon::kChildSocket);
  }
  return beamline::daemon::Main({argv + 1, argv + argc});
}
