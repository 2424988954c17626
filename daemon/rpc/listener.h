// The unix socket: bound for one owner, taken over from a daemon that died, never from a live one.
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
  ~Listener();  // as Close

  // The next connection (close-on-exec), waiting for at most `wait`; nothing after that time, or
  // after Interrupt. Errors: ResourceExhausted, no descriptor is left; try again later.
  absl::StatusOr<std::optional<int>> Accept(absl::Duration wait);
  // Makes the Accept under way, and every later one, return. Any thread.
  void Interrupt();

  // Stops listening and removes the socket, if it is still ours.
  void Close();

  const std::string& path() const { return path_; }

 private:
  Listener(int fd, int wake_fd, std::string path, dev_t device, ino_t inode);

  int fd_;
  const int wake_fd_;
  const std::string path_;
  const dev_t device_;
  const ino_t inode_;
};

}  // namespace beamline::rpc
