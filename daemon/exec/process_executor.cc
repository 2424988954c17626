// The thread starts with the first message and ends with the executor.
#include "daemon/exec/process_executor.h"

#include <signal.h>
#include <uv.h>

#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "daemon/exec/process_loop.h"
#include "daemon/ports/mutex.h"

namespace beamline::exec {
namespace {

// Starts `body` on a thread that takes no signals: they are for the daemon's own threads.
std::thread ThreadWithoutSignals(std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

// The thread, and the mailbox by which others reach it.
class ProcessExecutor::Loop {
 public:
  using Message = std::function<void(ProcessLoop&)>;

  Loop(Options options, ports::OutputSink& sink, ports::BlobStore& blobs) {
    uv_loop_init(&loop_);
    uv_async_init(&loop_, &wake_,
                  [](uv_async_t* wake) { static_cast<Loop*>(wake->data)->HandleMessages(); });
    wake_.data = this;
    processes_.emplace(&loop_, std::move(options.work_dir), options.grace,
                       std::move(options.supervisor), sink, blobs);
  }

  ~Loop() {
    Post([this](ProcessLoop& processes) {
      processes.Finish([this] { uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr); });
    });
    thread_.join();
    processes_.reset();
    uv_loop_close(&loop_);
  }

  void Post(Message message) {
    ports::MutexLock lock(&mu_);
    mailbox_.push_back(std::move(message));
    if (!thread_.joinable()) {
      thread_ = ThreadWithoutSignals([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
    }
    if (mailbox_.size() == 1) uv_async_send(&wake_);
  }

 private:
  void HandleMessages() {
    std::vector<Message> messages;
    {
      ports::MutexLock lock(&mu_);
      messages.swap(mailbox_);
    }
    for (Message& message : messages) message(*processes_);
  }

  uv_loop_t loop_;
  uv_async_t wake_;
  std::optional<ProcessLoop> processes_;  // used on thread_ only
  ports::Mutex mu_;
  std::vector<Message> mailbox_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;  // set under mu_ by the first message
};

ProcessExecutor::ProcessExecutor(Options options, ports::OutputSink& sink, ports::BlobStore& blobs)
    : loop_(std::make_unique<Loop>(std::move(options), sink, blobs)) {}

ProcessExecutor::~ProcessExecutor() = default;

void ProcessExecutor::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  loop_->Post(
      [attempt = std::move(attempt), done = std::move(done)](ProcessLoop& processes) mutable {
        processes.Start(std::move(attempt), std::move(done));
      });
}

void ProcessExecutor::Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                           run::StopReason reason, bool force) {
  loop_->Post([=](ProcessLoop& processes) { processes.Stop(run, path, attempt, reason, force); });
}

void ProcessExecutor::ForgetRun(const run::RunId& run) {
  loop_->Post([=](ProcessLoop& processes) { processes.Forget(run); });
}

}  // namespace beamline::exec
