// Who is on the other end of a connection, by the name that the transport has for it ("fd:17").
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "daemon/ports/mutex.h"

namespace beamline::rpc {

// Thread-safe.
//
// The transport closes descriptors without telling, and the kernel gives a closed number to the
// next one who asks. So that a late call of a closed connection is never taken for a call of a new
// one, connections are moved to numbers of their own, which go round: a number comes back only
// after thousands of other connections. A connection that is closed is recognised by its socket's
// inode.
class Peers {
 public:
  // `range`: how many numbers go round, starting at `first`; at most half of them are in use.
  Peers(int first, int range) : first_(first), range_(range), next_(first) {}

  // Takes the connected socket `fd` over if its peer is this process's user or root, and returns
  // its new number, non-blocking and ready for the transport. Closes it otherwise.
  // Errors: PermissionDenied; ResourceExhausted, too many connections.
  absl::StatusOr<int> Admit(int fd);
  // The same for a connection of whoever: who it is, TLS tells the transport.
  // Errors: ResourceExhausted, too many connections.
  absl::StatusOr<int> AdmitAnyone(int fd);

  // The user behind `peer`, as the transport names it.
  std::optional<uid_t> Find(std::string_view peer) const;

  // The connections that are open now.
  size_t Connected();

 private:
  struct Peer {
    uid_t uid = 0;
    ino_t inode = 0;
  };
  absl::StatusOr<int> Take(int fd, uid_t uid);
  void ForgetClosed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int first_, range_;
  mutable ports::Mutex mu_;
  int next_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<int, Peer> peers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::rpc
