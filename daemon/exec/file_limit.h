// How many descriptors the daemon may have open: thousands of requests at a time need more than the
// customary soft limit of 1024, which steps keep.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

namespace beamline::exec {

// Raises this process's soft limit to the hard one, once; thread-safe. Returns what holds now.
rlim_t RaiseFileLimit();

// Gives `pid`, a child of this process, the limit that this process itself was started with.
void RestoreFileLimit(pid_t pid);

}  // namespace beamline::exec
