// The small process that starts and ends the processes of steps on behalf of the daemon.
#pragma once

namespace beamline::exec {

// What `beamlined --supervise` is: serves requests (supervisor_wire.h) from the stream socket `fd`
// until it closes, then kills every process it started and all their descendants, and returns the
// exit code. A process that lives on a fork of its own stays small, so starting a step costs the
// same when the daemon holds gigabytes; and it outlives the daemon by as long as it takes to leave
// nothing behind.
//
// A step ends when the process it was started as ends: what that leaves behind in its session is
// killed at once, as are processes that moved to another session (found by their environment's
// BEAMLINE_ATTEMPT). One that also wiped its environment is killed when no step runs any more.
//
// REQUIRES: a single-threaded process that does nothing else.
int SupervisorMain(int fd);

}  // namespace beamline::exec
