// What the daemon and its supervisor say to each other: fixed headers and NUL-terminated strings
// over one stream socket between two copies of the same binary, file descriptors beside them.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace beamline::exec {

// One process to start. Strings must not contain NUL.
struct SpawnRequest {
  std::vector<std::string> argv;  // argv[0] without a slash is looked up in the PATH of `env`
  std::vector<std::string> env;   // "NAME=value"
  std::string dir;                // absolute
};

enum class RequestKind : uint32_t { kSpawn = 1, kTerminate = 2, kKill = 3 };

// What the supervisor reads. `key` is chosen by the daemon and unique among what runs.
struct Request {
  RequestKind kind = RequestKind::kKill;
  uint64_t key = 0;
  std::vector<const char*> argv, env;  // kSpawn; each ends with a null pointer
  const char* dir = nullptr;           // kSpawn; all three point into the receiver's buffer
  std::array<int, 3> fds{-1, -1, -1};  // kSpawn; owned by whoever took the request
};

enum class ReplyKind : uint32_t { kStarted = 1, kSpawnFailed = 2, kExited = 3 };
enum class SpawnStage : uint32_t { kNone = 0, kFork, kDir, kStdio, kExec };

// What the daemon reads; sent as these very bytes.
struct Reply {
  ReplyKind kind = ReplyKind::kStarted;
  SpawnStage stage = SpawnStage::kNone;  // kSpawnFailed: what `value` (an errno) hindered
  uint64_t key = 0;
  int32_t value = 0;            // pid, errno or wait status
  uint32_t signalled = 0;       // kExited: a Terminate or Kill had reached it while it ran
  uint64_t peak_rss_bytes = 0;  // kExited
};

// A spawn as the bytes to send (its three descriptors go with the first of them).
std::string EncodeSpawn(uint64_t key, const SpawnRequest& spawn);
// A Terminate or Kill.
std::string EncodeSignal(RequestKind kind, uint64_t key);

// Cuts the byte stream into requests. Not thread-safe.
class RequestReader {
 public:
  enum class State { kOpen, kClosed };
  ~RequestReader();
  // Reads what `socket` has (one recvmsg). kClosed: the peer is gone, or talks nonsense.
  State Receive(int socket);
  // The next whole request. Its strings live until the next Receive. Sets `broken` on nonsense.
  std::optional<Request> Next();
  bool broken() const { return broken_; }

 private:
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // the unread part of buffer_
  std::deque<int> fds_;
  bool broken_ = false;
};

// Sends `bytes` from `offset` on, `fds` beside the first of them. Returns the number of bytes
// taken, 0 if the socket is full for now, -1 if the peer is gone.
ssize_t SendBytes(int socket, const char* bytes, size_t size, absl::Span<const int> fds);

}  // namespace beamline::exec
