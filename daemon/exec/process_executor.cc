// The loop's thread does the work; see ProcessLoop.
#include "daemon/exec/process_executor.h"

#include <optional>
#include <utility>

#include "daemon/exec/loop_thread.h"
#include "daemon/exec/process_loop.h"

namespace beamline::exec {

class ProcessExecutor::Loop {
 public:
  Loop(Options options, ports::OutputSink& sink, ports::BlobStore& blobs) {
    processes_.emplace(thread_.loop(), std::move(options.work_dir), options.grace,
                       std::move(options.supervisor), sink, blobs);
  }

  ~Loop() {
    Post([this](ProcessLoop& processes) { processes.Finish([this] { thread_.CloseMailbox(); }); });
    thread_.Join();
    processes_.reset();
  }

  template <typename Message>
  void Post(Message message) {
    thread_.Post([this, message = std::move(message)]() mutable { message(*processes_); });
  }

 private:
  LoopThread thread_;
  std::optional<ProcessLoop> processes_;  // used on the thread only
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
