// The commands about workers.
#include "cli/commands.h"
#include "cli/verbs.h"

namespace beamline::cli {

std::vector<Command> WorkerCommands() {
  constexpr const char* kGroup = "WORKERS";
  return {
      {.name = "worker run",
       .group = kGroup,
       .summary = "Make a command a worker: run it for every step of a queue",
       .description =
           "Attaches to the daemon and runs CMD for every `worker` step of the queue and the "
           "tasks, "
           "--credit at once. The step's input is JSON on standard input. Its output is what CMD "
           "writes to $BEAMLINE_OUTPUT as name=value lines, else the JSON that it prints. An exit "
           "code other than 0 fails the attempt. What it prints otherwise goes to `beamline "
           "tail`.\n"
           "\n"
           "CMD sees the BEAMLINE_ variables of a `run` step, and BEAMLINE_QUEUE, BEAMLINE_TASK "
           "and "
           "BEAMLINE_LEASE_EPOCH. If the daemon restarts, what runs is killed (its outcome could "
           "not "
           "be recorded any more, and it is run again) and the worker attaches anew.\n"
           "\n"
           "SIGTERM and the first Ctrl-C let what runs finish and take nothing more; a second "
           "Ctrl-C "
           "kills it.",
       .positionals = {{.name = "CMD", .help = "the command and its arguments", .repeated = true}},
       .flags = {{.name = "queue", .value = "Q", .help = "the queue it serves"},
                 {.name = "task",
                  .value = "T",
                  .help = "a task that it can do; several may be named",
                  .repeated = true},
                 {.name = "credit",
                  .value = "N",
                  .help = "how many attempts it takes at once",
                  .fallback = "1"},
                 {.name = "id", .value = "ID", .help = "its name, instead of HOST:PID"}},
       .examples = {{"Serve a queue with a script",
                     "beamline worker run --queue enrich --task Enrich/v2 -- ./enrich.py"}},
       .exits = {kExitFailed, kExitAccess, kExitConflict, kExitUnreachable, kExitInterrupted},
       .handler = WorkerRunCommand},
      {.name = "worker list",
       .group = kGroup,
       .summary = "List the workers that are attached, and queues that nobody serves",
       .exits = {kExitUnreachable},
       .handler = WorkerList},
      {.name = "worker drain",
       .group = kGroup,
       .summary = "Let a worker finish what it has and leave",
       .positionals = {{.name = "ID", .help = "the worker, as `beamline worker list` names it"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = WorkerDrain},
  };
}

}  // namespace beamline::cli
