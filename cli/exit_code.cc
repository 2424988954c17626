// What exit codes mean, in words.
#include "cli/exit_code.h"

namespace beamline::cli {

const char* ExitCodeMeaning(int code) {
  switch (static_cast<ExitCode>(code)) {
    case kExitOk:
      return "succeeded";
    case kExitFailed:
      return "the run failed, or something is broken";
    case kExitUsage:
      return "the command line or the configuration is wrong";
    case kExitInvalid:
      return "a file or an input does not pass validation";
    case kExitAccess:
      return "not allowed";
    case kExitNotFound:
      return "nothing has this name, or more than one thing has";
    case kExitConflict:
      return "stale, or already decided otherwise";
    case kExitWaiting:
      return "the run waits for a person or a signal";
    case kExitDenied:
      return "denied by a policy or a budget";
    case kExitRejected:
      return "rejected by a person, or nobody decided in time";
    case kExitCancelled:
      return "the run was cancelled";
    case kExitUnreachable:
      return "no daemon can be reached or started";
    case kExitTimeout:
      return "the time of --timeout is over; the run goes on";
    case kExitInterrupted:
      return "interrupted (Ctrl-C)";
  }
  return "unknown";
}

}  // namespace beamline::cli
