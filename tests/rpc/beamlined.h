// A real daemon for a test: started on a temporary directory, ended with the test.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace beamline::rpc_testing {

// Removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Kills with SIGKILL what still runs at its end.
class Beamlined {
 public:
  // Data in `directory`, its socket beamlined.sock in it, the log beamlined.log. `arguments` are
  // added; `environment` ("NAME=value") is all it gets besides PATH and what sanitizers read.
  explicit Beamlined(const std::string& directory, std::vector<std::string> arguments = {},
                     std::vector<std::string> environment = {});
  ~Beamlined();

  // True once the daemon listens; false if the process ended first or 10 s have passed.
  bool AwaitSocket();
  void Signal(int signal);
  // The exit code; 128 + N after signal N; -1 if it still runs after `wait`, which is left running.
  int AwaitExit(absl::Duration wait = absl::Seconds(20));

  pid_t pid() const { return pid_; }
  const std::string& socket() const { return socket_; }
  // What it has written to standard error (and out) so far.
  std::string log() const;

 private:
  const std::string socket_, log_path_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
};

}  // namespace beamline::rpc_testing
