// Writes to file descriptors; see context.h.
#include "cli/context.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace beamline::cli {

void FdWriter::Write(std::string_view text) {
  while (!text.empty() && error_ == 0) {
    const ssize_t written = write(fd_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      // A terminal or pipe that another process made non-blocking.
      pollfd ready{fd_, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (errno == EPIPE) {
      return;
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
}

}  // namespace beamline::cli
