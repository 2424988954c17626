// One wake-up for all messages that came meanwhile.
#include "daemon/exec/loop_thread.h"

#include <signal.h>

#include <utility>

namespace beamline::exec {
namespace {

std::thread ThreadWithoutSignals(std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

LoopThread::LoopThread() {
  uv_loop_init(&loop_);
  uv_async_init(&loop_, &wake_,
                [](uv_async_t* wake) { static_cast<LoopThread*>(wake->data)->Work(); });
  wake_.data = this;
}

LoopThread::~LoopThread() { uv_loop_close(&loop_); }

void LoopThread::Post(std::function<void()> work) {
  ports::MutexLock lock(&mu_);
  mailbox_.push_back(std::move(work));
  if (!thread_.joinable()) {
    thread_ = ThreadWithoutSignals([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
  }
  if (mailbox_.size() == 1) uv_async_send(&wake_);
}

void LoopThread::CloseMailbox() {
  Work();
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
}

void LoopThread::Work() {
  std::vector<std::function<void()>> messages;
  {
    ports::MutexLock lock(&mu_);
    messages.swap(mailbox_);
  }
  for (const std::function<void()>& message : messages) message();
}

}  // namespace beamline::exec
