// setrlimit for ourselves, prlimit for the child.
#include "daemon/exec/file_limit.h"

namespace beamline::exec {
namespace {

struct Limits {
  rlimit before{};
  rlimit now{};

  Limits() {
    getrlimit(RLIMIT_NOFILE, &before);
    now = before;
    now.rlim_cur = now.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &now) != 0) now = before;
  }
};

const Limits& Raised() {
  static const Limits limits;
  return limits;
}

}  // namespace

rlim_t RaiseFileLimit() { return Raised().now.rlim_cur; }

void RestoreFileLimit(pid_t pid) { prlimit(pid, RLIMIT_NOFILE, &Raised().before, nullptr); }

}  // namespace beamline::exec
