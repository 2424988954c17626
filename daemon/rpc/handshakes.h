// TLS handshakes that fail. The transport writes of them to its own log only, without saying who it
// was; the door knows who came. Both together make a line for the daemon's log.
#pragma once

#include <sys/types.h>

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace beamline::rpc {

// Of one thread, but for Hear().
class Handshakes {
 public:
  // A line of the transport's log; any thread. Those about anything else are passed over.
  static void Hear(std::string_view line);

  // The connection `fd` is about to be handed to the transport.
  void Watch(int fd, absl::Time now);

  // What to tell of those that failed since: one line, and about the same peer at most one in a
  // minute. To be called about once a second.
  std::vector<std::string> Tell(absl::Time now);

 private:
  struct Connection {
    int fd = -1;
    ino_t inode = 0;
    std::string peer;  // address without port
    absl::Time at;
  };
  // The peers, each once, of watched connections that were closed since the last time.
  std::vector<std::string> Closed(absl::Time now);

  std::deque<Connection> watched_;                       // oldest first
  std::deque<std::pair<std::string, int>> unexplained_;  // reasons, and how often looked at
  absl::flat_hash_map<std::string, absl::Time> told_;    // by line
};

}  // namespace beamline::rpc
