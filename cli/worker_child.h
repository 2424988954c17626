// One attempt of `beamline worker run`: a process that is fed, listened to and ended.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/worker.pb.h"

namespace beamline::cli {

// Not thread-safe. The process is in a group of its own, which is killed with it; it dies with this
// program, too, however that ends.
class WorkerChild {
 public:
  // Starts `command` for `assign` with its input on stdin. The environment is this program's and
  // the BEAMLINE_ variables of `run` steps, with BEAMLINE_QUEUE, _TASK and _LEASE_EPOCH.
  // `output_path` is its $BEAMLINE_OUTPUT, removed at the end. Unavailable: the system cannot start
  // a process.
  static absl::StatusOr<std::unique_ptr<WorkerChild>> Start(const std::vector<std::string>& command,
                                                            v1::Assign assign,
                                                            std::string output_path);
  ~WorkerChild();  // kills it
  WorkerChild(const WorkerChild&) = delete;
  WorkerChild& operator=(const WorkerChild&) = delete;

  const v1::Assign& assign() const { return assign_; }

  // What to poll: -1 where there is nothing. stdin is for writing, the others for reading; `exit`
  // is a pidfd.
  struct Fds {
    int in = -1, out = -1, err = -1, exit = -1;
  };
  const Fds& fds() const { return fds_; }
  // Does what the descriptors allow now. `print` is told what it printed: all of stderr, and stdout
  // as soon as it cannot be the output.
  using Print = std::function<void(v1::LogStream, std::string_view)>;
  void Proceed(const Print& print);
  // It has ended and nothing of it is to be read any more.
  bool done() const { return exited_ && fds_.out < 0 && fds_.err < 0; }
  // Ends what it left behind with its pipes open. Called some time after the exit.
  void Abandon();
  absl::Time exited_at() const { return exited_at_; }  // InfiniteFuture: it runs

  // SIGTERM, or SIGKILL with `force`, to its group.
  void Stop(bool force);
  bool stopped() const { return stopped_; }

  // What it came to. REQUIRES: done(). May still have something to print.
  v1::Result TakeResult(const Print& print);

 private:
  WorkerChild(v1::Assign assign, std::string output_path)
      : assign_(std::move(assign)), output_path_(std::move(output_path)) {}
  void Feed();
  void Read(int* fd, v1::LogStream stream, const Print& print);
  void Reap();
  v1::Result Failure(std::string_view kind, std::string message, int exit_code = -1) const;
  v1::Result Output();

  v1::Assign assign_;
  const std::string output_path_;
  pid_t pid_ = -1;
  Fds fds_;
  size_t fed_ = 0;          // bytes of the input that were written
  std::string stdout_;      // as long as it may be the output
  bool streaming_ = false;  // it cannot be, any more
  std::string stderr_tail_;
  bool exited_ = false, stopped_ = false;
  int wait_status_ = 0;
  absl::Time exited_at_ = absl::InfiniteFuture();
};

}  // namespace beamline::cli
