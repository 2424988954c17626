// A signal handler may do little: it adds to an eventfd that the main thread waits for.
#include "daemon/termination.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace beamline::daemon {
namespace {

int event_fd = -1;  // of this process; signals have no other way to find it

void Count() {
  const int error = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event_fd, &one, sizeof(one));
  errno = error;
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

Termination::Termination() {
  event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) {
    Handle(signal, [](int) { Count(); });
  }
  Handle(SIGPIPE, [](int) {});
}

void Termination::Ask(absl::Duration grace) {
  if (grace > absl::ZeroDuration()) {
    ports::MutexLock lock(&mu_);
    grace_ = grace;
  }
  Count();
}

int Termination::Wait(absl::Duration wait) {
  pollfd fd{event_fd, POLLIN, 0};
  const int64_t wait_ms =
      wait == absl::InfiniteDuration()
          ? -1
          : std::min<int64_t>(absl::ToInt64Milliseconds(wait), std::numeric_limits<int>::max());
  poll(&fd, 1, static_cast<int>(wait_ms));
  uint64_t count = 0;
  if (read(event_fd, &count, sizeof(count)) == sizeof(count)) {
    asked_ += static_cast<int>(std::min<uint64_t>(count, 1000));
  }
  return asked_;
}

std::optional<absl::Duration> Termination::grace() const {
  ports::MutexLock lock(&mu_);
  return grace_;
}

}  // namespace beamline::daemon
