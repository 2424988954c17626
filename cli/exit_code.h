// What the exit code of `beamline` says. Scripts rely on it: a number never changes its meaning.
#pragma once

namespace beamline::cli {

// Unscoped, so that a handler returns it as the int that it is.
enum ExitCode : int {
  kExitOk = 0,             // succeeded
  kExitFailed = 1,         // the run failed, or something is broken
  kExitUsage = 2,          // the command line or the configuration is wrong
  kExitInvalid = 3,        // a file or an input does not pass validation
  kExitAccess = 4,         // not allowed to do this
  kExitNotFound = 5,       // nothing has this name, or more than one thing has
  kExitConflict = 6,       // stale, or already decided otherwise
  kExitWaiting = 7,        // the run waits for a person or a signal
  kExitDenied = 8,         // denied by a policy or a budget
  kExitRejected = 9,       // rejected by a person, or by nobody's answer in time
  kExitCancelled = 10,     // the run was cancelled
  kExitUnreachable = 11,   // no daemon can be reached or started
  kExitTimeout = 124,      // the client's --timeout is over; the run goes on
  kExitInterrupted = 130,  // Ctrl-C
};

// One line of the table in the manual: "the run failed".
const char* ExitCodeMeaning(int code);

}  // namespace beamline::cli
