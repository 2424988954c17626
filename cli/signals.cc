// Signals by a pipe; see signals.h.
#include "cli/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <iterator>

namespace beamline::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
int g_pipe[2] = {-1, -1};
struct sigaction g_before[std::size(kSignals)];

// Only what a signal handler may do: one write, errno kept.
void Note(int signal) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] ssize_t written = write(g_pipe[1], &byte, 1);  // a full pipe holds enough
  errno = saved;
}

}  // namespace

SignalPipe::SignalPipe() {
  if (pipe2(g_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action {};
  action.sa_handler = Note;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], nullptr, &g_before[i]);
    // What is ignored on purpose (nohup, a background job) stays so.
    if (g_before[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

SignalPipe::~SignalPipe() {
  if (g_pipe[0] < 0) return;
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &g_before[i], nullptr);
  for (int& fd : g_pipe) {
    close(fd);
    fd = -1;
  }
}

int SignalPipe::fd() const { return g_pipe[0]; }

void SignalPipe::StopProcess() {
  struct sigaction stop {
  }, ours{};
  stop.sa_handler = SIG_DFL;
  sigaction(SIGTSTP, &stop, &ours);
  raise(SIGTSTP);
  sigaction(SIGTSTP, &ours, nullptr);
}

int SignalPipe::Take() {
  unsigned char byte = 0;
  return read(g_pipe[0], &byte, 1) == 1 ? byte : 0;
}

}  // namespace beamline::cli
