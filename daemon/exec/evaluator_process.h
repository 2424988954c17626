// One evaluator child as the pool sees it: a process, a socket, and the programs it has compiled.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/exec/evaluator_wire.h"

namespace beamline::exec {

// How a child ended.
enum class ChildEnd {
  kOwnMemory,  // out of memory or stack, or crashed by what it evaluated
  kOwnTime,    // out of processor time
  kOutside,    // killed or exited for another reason
};

// Not thread-safe. Kills the process when destroyed.
class EvaluatorProcess {
 public:
  // Starts `command` with an empty environment, its socket as file 3 and nothing else open.
  static absl::StatusOr<EvaluatorProcess> Spawn(const std::vector<std::string>& command);
  EvaluatorProcess(EvaluatorProcess&& other) noexcept;
  EvaluatorProcess& operator=(EvaluatorProcess&&) = delete;
  ~EvaluatorProcess();

  pid_t pid() const { return pid_; }
  int fd() const { return fd_; }
  bool wants_to_write() const { return written_ < out_.size(); }

  // Sends as much as the socket takes now; Flush() goes on when it takes more. False if the child
  // is gone.
  bool Send(FrameKind kind, std::string_view digest, std::string_view body);
  bool Flush();
  // Reads what there is. False if the child is gone.
  bool Receive();
  std::optional<Frame> Next() { return frames_.Next(); }
  bool broken() const { return frames_.broken(); }

  // Kills the process if it still runs; how it had ended otherwise.
  ChildEnd End();

 private:
  EvaluatorProcess(pid_t pid, int fd);

  pid_t pid_;
  int fd_;
  std::string out_;
  size_t written_ = 0;
  FrameReader frames_{kEvaluatorResultBytesMax + 4096};
};

}  // namespace beamline::exec
