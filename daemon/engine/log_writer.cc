// The writer's thread.
#include "daemon/engine/log_writer.h"

#include <utility>

namespace beamline::engine {
namespace {

// Long enough not to disturb a busy log, short enough that an idle daemon's files are tidy.
constexpr absl::Duration kIdleBeforeCheckpoint = absl::Seconds(2);

}  // namespace

LogWriter::~LogWriter() { Stop(); }

void LogWriter::Append(std::shared_ptr<const Batch> batch, std::function<void(absl::Status)> done) {
  ports::MutexLock lock(&mu_);
  tasks_.push_back(AppendTask{std::move(batch), std::move(done)});
}

void LogWriter::Delete(const run::RunId& id, std::function<void(absl::Status)> done) {
  ports::MutexLock lock(&mu_);
  tasks_.push_back(DeleteTask{id, std::move(done)});
}

void LogWriter::Do(std::function<void()> work) {
  ports::MutexLock lock(&mu_);
  tasks_.emplace_back(std::in_place_type<std::function<void()>>, std::move(work));
}

std::optional<absl::Status> LogWriter::AppendHere(const Batch& batch) {
  if (!thread_.joinable()) return std::nullopt;
  absl::Status status;
  bool tidy;
  {
    ports::MutexLock lock(&store_mu_);
    tidy = written_ == tidied_;
    ++written_;
    status = store_.Append(batch);
  }
  if (tidy) Do([] {});  // the thread sleeps for good: from now on there is something to tidy up
  return status;
}

void LogWriter::Start() {
  thread_ = std::thread([this] {
    while (true) {
      // With nothing to tidy up the thread sleeps until there is work: an idle daemon costs
      // nothing.
      if (Step(IsTidy() ? absl::InfiniteDuration() : kIdleBeforeCheckpoint)) continue;
      ports::MutexLock lock(&mu_);
      if (stopping_ && tasks_.empty()) return;
    }
  });
}

void LogWriter::Stop() {
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

bool LogWriter::Step(absl::Duration wait) {
  std::vector<Task> tasks;
  {
    ports::MutexLock lock(&mu_);
    auto ready = [this]()
                     ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !tasks_.empty() || stopping_; };
    mu_.AwaitFor(ready, wait);
    tasks.swap(tasks_);
  }
  ports::MutexLock lock(&store_mu_);
  for (const Task& task : tasks) Run(task);
  if (tasks.empty() && seen_ == written_ && tidied_ != written_) {
    tidied_ = written_;
    // A checkpoint moves what is durable already; if it fails, the next append will say so.
    (void)store_.Checkpoint();
  }
  seen_ = written_;
  return !tasks.empty();
}

bool LogWriter::IsTidy() {
  ports::MutexLock lock(&store_mu_);
  return tidied_ == written_;
}

void LogWriter::Run(const Task& task) {
  ++written_;
  if (const auto* append = std::get_if<AppendTask>(&task)) {
    append->done(store_.Append(*append->batch));
  } else if (const auto* erase = std::get_if<DeleteTask>(&task)) {
    erase->done(store_.DeleteRun(erase->id));
  } else {
    std::get<std::function<void()>>(task)();
  }
}

}  // namespace beamline::engine
