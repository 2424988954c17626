// Where clients connect: the unix socket, bound for one owner, taken over from a daemon that died,
// never from a live one; and an address of the network.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace beamline::rpc {

class Listener {
 public:
  // Creates the socket's directory (0700) where it is missing, and listens with mode 0600.
  // REQUIRES: no other thread creates files meanwhile (the umask is changed for a moment).
  // Errors: InvalidArgument, the path is too long; AlreadyExists, somebody listens there;
  //         FailedPrecondition, the path is no socket, or its directory is open to others or not
  //         ours; PermissionDenied and others, as the system says.
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(const std::string& path);
  // Listens on "HOST:PORT" ("[::1]:7443", ":7443" for every address, port 0 for any free one).
  // `loopback_only`: refuses an address that other machines can reach.
  // Errors: InvalidArgument, no address of this machine, or not a loopback one; AlreadyExists, the
  //         port is in use; PermissionDenied and others, as the system says.
  static absl::StatusOr<std::unique_ptr<Listener>> BindTcp(const std::string& address,
                                                           bool loopback_only);
  ~Listener();  // as Close

  // The next connection (close-on-exec), waiting for at most `wait`; nothing after that time, or
  // after Interrupt. Errors: ResourceExhausted, no descriptor is left; try again later.
  absl::StatusOr<std::optional<int>> Accept(absl::Duration wait);
  // Makes the Accept under way, and every later one, return. Any thread.
  void Interrupt();

  // Stops listening and removes the socket, if it is still ours.
  void Close();

  // Of a unix socket the path, of TCP "ADDRESS:PORT" with the port that it has got.
  const std::string& where() const { return where_; }

 private:
  Listener(int fd, int wake_fd, std::string where, dev_t device, ino_t inode);

  int fd_;
  const int wake_fd_;
  const std::string where_;
  const dev_t device_;
  const ino_t inode_;  // 0: no file
};

}  // namespace beamline::rpc
