// The daemon's end of the supervisor: starts it, talks to it, notices when it is gone.
#pragma once

#include <sys/types.h>
#include <uv.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/exec/supervisor_wire.h"

namespace beamline::exec {

// Not thread-safe: lives on the thread of its loop.
class SupervisorLink {
 public:
  // Runs `command` (its socket becomes descriptor 3) when the first process is to start, and again
  // after it was lost. It holds `lock_path` as long as it lives: no supervisor starts a process
  // while an earlier one, of a daemon that was killed, is still ending its own. `reply` is called
  // for each reply; `lost` when the supervisor ended although nobody asked it to: nothing more is
  // to be expected for what was sent before.
  SupervisorLink(uv_loop_t* loop, std::vector<std::string> command, std::string lock_path,
                 std::function<void(const Reply&)> reply, std::function<void()> lost);
  ~SupervisorLink();

  // Starts a supervisor unless one runs, after waiting for an earlier one (15 s at most). Errors:
  // Unavailable, with the reason.
  absl::Status Connect();
  // Each goes out as soon as the socket takes it, in order. `fds` (standard input, output and
  // error) are closed once sent. REQUIRES: Connect() was Ok since the last loss.
  void Spawn(uint64_t key, const SpawnRequest& spawn, std::array<int, 3> fds);
  void Signal(RequestKind kind, uint64_t key);

  // Ends the supervisor, and with it every process it started; returns when it has gone. `lost` is
  // not called.
  void Close();

 private:
  struct Outgoing {
    std::string bytes;
    size_t sent = 0;
    std::vector<int> fds;
  };

  void Send(Outgoing message);
  void Flush();
  void Watch();
  void OnEvent(int status, int events);
  void Receive();
  void Lose();
  void Disconnect();

  uv_loop_t* const loop_;
  const std::vector<std::string> command_;
  const std::string lock_path_;
  const std::function<void(const Reply&)> reply_;
  const std::function<void()> lost_;
  pid_t pid_ = -1;
  int socket_ = -1;
  uv_poll_t* poll_ = nullptr;  // frees itself when closed
  int watched_ = 0;
  std::deque<Outgoing> queue_;
  std::string received_;
};

}  // namespace beamline::exec
