// Starts one process: its own session, nothing inherited but three descriptors, dead with its
// parent.
#pragma once

#include <sys/types.h>

#include "daemon/exec/supervisor_wire.h"

namespace beamline::exec {

struct SpawnResult {
  pid_t pid = -1;                        // -1: it did not start,
  SpawnStage stage = SpawnStage::kNone;  // because this step of it
  int error = 0;                         // met this errno
};

// Starts `request` (a kSpawn) as the leader of a new session and process group, without signals
// blocked, killed by the kernel when the calling thread ends. Its program is running on return.
// REQUIRES: the caller has one thread, all signals blocked, no signal ignored or handled, and
// close-on-exec on every descriptor above 2.
SpawnResult Spawn(const Request& request);

}  // namespace beamline::exec
