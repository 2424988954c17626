// A thread that runs a libuv loop, and the mailbox by which others reach it.
#pragma once

#include <uv.h>

#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/mutex.h"

namespace beamline::exec {

// The thread starts with the first Post: before that it costs nothing. It takes no signals, those
// are for the daemon's own threads; a broken connection is an error there, not a SIGPIPE.
class LoopThread {
 public:
  LoopThread();
  // REQUIRES: Join was called.
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  // Thread-safe. `work` is called on the thread, in order.
  void Post(std::function<void()> work);

  // On the thread: does what was posted until now, and takes nothing more. The loop ends once
  // everything else on it is closed.
  void CloseMailbox();
  // Waits until the loop has ended. REQUIRES: a Post that leads to CloseMailbox.
  void Join() { thread_.join(); }

  uv_loop_t* loop() { return &loop_; }

 private:
  void Work();

  uv_loop_t loop_;
  uv_async_t wake_;
  ports::Mutex mu_;
  std::vector<std::function<void()>> mailbox_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;  // set under mu_ by the first message
};

}  // namespace beamline::exec
