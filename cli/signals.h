// Signals as something to poll, for commands that end by them in an orderly way.
#pragma once

namespace beamline::cli {

// Turns SIGINT, SIGTERM, SIGHUP, SIGWINCH and SIGTSTP into bytes on a pipe while it lives; then
// they do what they did before. At most one exists at a time.
class SignalPipe {
 public:
  SignalPipe();
  ~SignalPipe();
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  // To be polled for reading.
  int fd() const;
  // The number of a signal that came, or 0. Never blocks.
  int Take();
  // Stops this process as SIGTSTP would have done; returns when it is continued.
  void StopProcess();
};

}  // namespace beamline::cli
