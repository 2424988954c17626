// A child does one thing at a time: it gets a frame and owes an answer until `until`.
#include "daemon/exec/evaluator_pool.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::exec {

EvaluatorPool::EvaluatorPool(Options options)
    : options_(std::move(options)), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { Loop(); });
}

EvaluatorPool::~EvaluatorPool() {
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
  }
  eventfd_write(wake_fd_, 1);
  thread_.join();
  close(wake_fd_);
}

void EvaluatorPool::Evaluate(ports::Evaluation evaluation,
                             std::function<void(absl::StatusOr<std::string>)> done) {
  auto job = std::make_unique<Job>(Job{std::move(evaluation), std::move(done)});
  bool wake;
  {
    ports::MutexLock lock(&mu_);
    wake = inbox_.empty();
    inbox_.push_back(std::move(job));
  }
  if (wake) eventfd_write(wake_fd_, 1);
}

std::vector<pid_t> EvaluatorPool::Children() const {
  ports::MutexLock lock(&mu_);
  return pids_;
}

void EvaluatorPool::Loop() {
  while (TakeInbox()) {
    Dispatch();
    Poll();
  }
  for (auto& child : children_) {
    if (child->job) queue_.push_back(std::move(child->job));
  }
  children_.clear();
  for (auto& job : queue_) job->done(absl::CancelledError("the evaluator is being stopped"));
}

// False when the pool is being destroyed.
bool EvaluatorPool::TakeInbox() {
  ports::MutexLock lock(&mu_);
  std::move(inbox_.begin(), inbox_.end(), std::back_inserter(queue_));
  inbox_.clear();
  return !stopping_;
}

// Strictly in order, so that no tenant waits for ever.
void EvaluatorPool::Dispatch() {
  while (!queue_.empty()) {
    std::unique_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    if (job->evaluation.input.size() > kEvaluatorInputBytesMax ||
        job->evaluation.program->size() > kEvaluatorInputBytesMax) {
      job->done(absl::ResourceExhaustedError("the expressions read more than 4 MiB"));
      continue;
    }
    const absl::StatusOr<Child*> child = FindChild(job->evaluation);
    if (!child.ok()) {
      job->done(child.status());
    } else if (*child == nullptr) {
      queue_.push_front(std::move(job));
      return;
    } else {
      (*child)->job = std::move(job);
      Begin(**child);
    }
  }
}

absl::StatusOr<EvaluatorPool::Child*> EvaluatorPool::FindChild(
    const ports::Evaluation& evaluation) {
  Child* of_tenant = nullptr;
  Child* of_other = nullptr;
  for (auto& child : children_) {
    if (child->job) continue;
    if (child->tenant != evaluation.tenant) {
      of_other = child.get();
    } else if (of_tenant == nullptr || child->programs.contains(evaluation.program_digest)) {
      of_tenant = child.get();
    }
  }
  if (of_tenant != nullptr) return of_tenant;
  if (children_.size() >= options_.children_max) {
    if (of_other == nullptr) return nullptr;
    Drop(*of_other);
  }
  absl::StatusOr<EvaluatorProcess> process = EvaluatorProcess::Spawn(options_.command);
  if (!process.ok()) return process.status();
  children_.push_back(
      std::make_unique<Child>(Child{*std::move(process), evaluation.tenant, {}, nullptr}));
  PublishChildren();
  return children_.back().get();
}

void EvaluatorPool::Begin(Child& child) {
  const ports::Evaluation& evaluation = child.job->evaluation;
  if (!child.programs.contains(evaluation.program_digest)) return Compile(child);
  child.compiling = false;
  child.until = Clock::now() + absl::ToChronoNanoseconds(options_.evaluation_max);
  if (!child.process.Send(FrameKind::kEvaluate, evaluation.program_digest, evaluation.input)) {
    OnGone(child);
  }
}

void EvaluatorPool::Compile(Child& child) {
  const ports::Evaluation& evaluation = child.job->evaluation;
  child.compiling = true;
  child.until = Clock::now() + absl::ToChronoNanoseconds(options_.compilation_max);
  if (!child.process.Send(FrameKind::kCompile, evaluation.program_digest, *evaluation.program)) {
    OnGone(child);
  }
}

void EvaluatorPool::Poll() {
  std::vector<pollfd> polled = {{wake_fd_, POLLIN, 0}};
  std::vector<Child*> children;  // by position in `polled`, less one
  Clock::time_point until = Clock::time_point::max();
  for (auto& child : children_) {
    const int events = child->process.wants_to_write() ? POLLIN | POLLOUT : POLLIN;
    polled.push_back({child->process.fd(), static_cast<short>(events), 0});
    children.push_back(child.get());
    until = std::min(until, child->until);
  }
  int timeout_ms = -1;
  if (until != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    timeout_ms = static_cast<int>(std::max<int64_t>(left.count(), 0));
  }
  if (poll(polled.data(), polled.size(), timeout_ms) < 0) return;
  if (polled[0].revents != 0) {
    eventfd_t count;
    eventfd_read(wake_fd_, &count);
  }
  const Clock::time_point now = Clock::now();
  for (size_t i = 0; i < children.size(); ++i) {
    if (polled[i + 1].revents != 0) {
      Serve(*children[i], polled[i + 1].revents);
    } else if (now >= children[i]->until) {
      OnTimeOver(*children[i]);
    }
  }
}

// May end the child.
void EvaluatorPool::Serve(Child& child, short events) {
  if ((events & POLLOUT) != 0 && !child.process.Flush()) return OnGone(child);
  if ((events & ~POLLOUT) == 0) return;
  const bool alive = child.process.Receive();
  // A child owes at most one frame, and an idle one owes none.
  if (std::optional<Frame> frame = child.process.Next()) {
    if (!child.job) return Drop(child);
    return OnFrame(child, *std::move(frame));
  }
  if (!alive || child.process.broken()) OnGone(child);
}

void EvaluatorPool::OnFrame(Child& child, Frame frame) {
  switch (frame.kind) {
    case FrameKind::kCompiled:
      child.programs.insert(std::move(frame.digest));
      return Begin(child);
    case FrameKind::kUnknownProgram:  // it has compiled others since
      child.programs.erase(frame.digest);
      return Compile(child);
    case FrameKind::kResult:
      return Finish(child, std::move(frame.body));
    case FrameKind::kError:
      return Finish(child, absl::Status(static_cast<absl::StatusCode>(frame.code), frame.body));
    case FrameKind::kCompile:
    case FrameKind::kEvaluate:
      return OnGone(child);
  }
}

// The child is dead or as good as that.
void EvaluatorPool::OnGone(Child& child) {
  std::unique_ptr<Job> job = std::move(child.job);
  const ChildEnd end = child.process.End();
  Drop(child);
  if (!job) return;
  if (end == ChildEnd::kOwnMemory) {
    job->done(absl::ResourceExhaustedError("the expressions took more than 64 MiB of memory"));
  } else if (end == ChildEnd::kOwnTime) {
    job->done(absl::DeadlineExceededError("the expressions took too much processor time"));
  } else if (job->repeated) {
    job->done(absl::InternalError("the evaluator was ended from outside twice"));
  } else {
    job->repeated = true;
    queue_.push_front(std::move(job));
  }
}

void EvaluatorPool::OnTimeOver(Child& child) {
  std::unique_ptr<Job> job = std::move(child.job);
  const bool compiling = child.compiling;
  Drop(child);
  if (!job) return;
  job->done(absl::DeadlineExceededError(
      compiling ? absl::StrCat("the flow's expressions did not compile within ",
                               absl::FormatDuration(options_.compilation_max))
                : absl::StrCat("the expressions took longer than ",
                               absl::FormatDuration(options_.evaluation_max))));
}

void EvaluatorPool::Finish(Child& child, absl::StatusOr<std::string> result) {
  const std::unique_ptr<Job> job = std::move(child.job);
  child.until = Clock::now() + absl::ToChronoNanoseconds(options_.idle_max);
  job->done(std::move(result));
}

// Kills the child. Its reference is void afterwards.
void EvaluatorPool::Drop(const Child& child) {
  children_.erase(std::find_if(children_.begin(), children_.end(),
                               [&](const auto& owned) { return owned.get() == &child; }));
  PublishChildren();
}

void EvaluatorPool::PublishChildren() {
  ports::MutexLock lock(&mu_);
  pids_.clear();
  for (const auto& child : children_) pids_.push_back(child->process.pid());
}

}  // namespace beamline::exec
