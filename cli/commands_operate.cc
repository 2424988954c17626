// The commands for whoever operates runs: bring back what failed, take as done, pause, dead
// letters.
#include "cli/commands.h"
#include "cli/run_selection.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr const char* kGroup = "OPERATING";

Positional RunName(bool required) {
  return {.name = "RUN",
          .help = "an id, a unique part of its start or end, @latest or @latest-failed",
          .required = required,
          .completes = Completes::kRun};
}

Flag Reason() { return {.name = "reason", .value = "TEXT", .help = "why; recorded with the run"}; }

Flag Input() {
  return {.name = "input",
          .letter = 'i',
          .value = "K=V",
          .help = "in place of the run's input: k=text, k:=json or k=@file",
          .repeated = true};
}

Command Retry() {
  return {
      .name = "retry",
      .group = kGroup,
      .summary = "Run again what failed in a run",
      .description =
          "Steps that failed, were cancelled or are parked run again, with what was skipped "
          "because "
          "of them; what succeeded is left alone, unless --downstream asks for what is behind "
          "them. "
          "Of a `foreach` only the items that failed run again. A finished run is reopened: it "
          "keeps its id and history, and `finally` runs once more at its end.\n\n"
          "Every attempt of a step carries the idempotency key of its first one, so that the other "
          "side can tell that it is the same request.",
      .positionals = {RunName(false)},
      .flags = {{.name = "step",
                 .value = "STEP",
                 .help = "only this step or item, by its path",
                 .completes = Completes::kStep},
                {.name = "downstream", .help = "what succeeded behind the steps runs again, too"},
                {.name = "items",
                 .value = "WHICH",
                 .help = "failed: items, too, whose failure their step tolerated",
                 .completes = Completes::kChoice,
                 .choices = {"failed"}},
                Input(),
                Reason(),
                {.name = "dry-run", .help = "tell what would run again, and change nothing"}},
      .examples = {{"One step of the last run that failed",
                    "beamline retry @latest-failed --step build"},
                   {"One item", "beamline retry @latest --step 'enrich[17]'"}},
      .exits = {kExitInvalid, kExitNotFound, kExitConflict, kExitUnreachable},
      .handler = RetryCommand,
  };
}

Command ReplayOne() {
  return {
      .name = "replay",
      .group = kGroup,
      .summary = "Start a run from the results of another one",
      .description =
          "A new run takes over what the steps before --from came to in the old one; these are not "
          "carried out again. The step and what depends on it run. With --flow they run as another "
          "version of the flow says. The old run stays as it is.",
      .positionals = {RunName(false)},
      .flags = {{.name = "from",
                 .value = "STEP",
                 .help = "the first step that runs, a top-level one; without it, what did not "
                         "succeed",
                 .completes = Completes::kStep},
                {.name = "flow",
                 .value = "FILE",
                 .help = "the flow as it is in this file, instead of as the run had it",
                 .completes = Completes::kFlowFile},
                Input()},
      .examples = {{"With a corrected flow",
                    "beamline replay @latest-failed --from build --flow ci.flow.yaml"}},
      .exits = {kExitInvalid, kExitNotFound, kExitConflict, kExitUnreachable},
      .handler = ReplayCommand,
  };
}

Command Skip() {
  return {
      .name = "skip",
      .group = kGroup,
      .summary = "Take a step as done that failed or is parked",
      .description =
          "For a step whose work somebody has done by hand, or that need not be done. Its output "
          "is "
          "what --result or --set say, else null; who said so and why is recorded.",
      .positionals = {RunName(true),
                      {.name = "STEP",
                       .help = "the path of the step or item",
                       .completes = Completes::kStep}},
      .flags = {Reason(),
                {.name = "result", .value = "JSON", .help = "the output of the step"},
                {.name = "set",
                 .value = "K=V",
                 .help = "a field of the output: k=text, k:=json or k=@file",
                 .repeated = true}},
      .examples = {{"Somebody paid by hand",
                    "beamline skip @latest pay --reason 'paid by phone' --set receipt=R-17"}},
      .exits = {kExitNotFound, kExitConflict, kExitUnreachable},
      .handler = SkipCommand,
  };
}

Command Pause() {
  return {
      .name = "pause",
      .group = kGroup,
      .summary = "Let nothing of a run start until it is resumed",
      .description =
          "Attempts that run may end; times that were set pass. `beamline resume` lets it go "
          "on.\n\n" +
          ManyRunsText("running or waiting"),
      .positionals = {RunName(false)},
      .flags = WithRunFilters({{.name = "all", .help = "all that fit the other flags"}, Reason()}),
      .exits = {kExitFailed, kExitNotFound, kExitConflict, kExitUnreachable},
      .handler = PauseCommand,
  };
}

Command TopCommand() {
  return {
      .name = "top",
      .group = kGroup,
      .summary = "Show what goes on: runs, queues, workers, spend",
      .description =
          "On a terminal the screen is drawn again each second, until q or Ctrl-C; elsewhere it is "
          "printed once. Runs are counted by status; rates are those between two looks, and at "
          "first "
          "those of the last minute. Totals begin with the daemon.\n\n"
          "With -o json: {time, version, started_at, draining, runs: {pending, running, waiting, "
          "paused}, total, last_minute, last_hour: {started, succeeded, failed, cancelled, "
          "cost_usd, "
          "tokens, requests, unpriced}, rate: {started, finished}, slots: {max, busy, in_line}, "
          "attempts, tasks, dead_letters, queues: [{queue, task, waiting, waiting_since?, "
          "workers}], "
          "workers_total, workers: [{id, state, credit, attempts, assigned_total}], oldest, "
          "busiest: "
          "[{id, flow, started_at, under_way, cost_usd, tokens}]}. With -o jsonl such an object "
          "each "
          "second, one a line. Dead letters are counted up to 100,000.",
      .flags = {{.name = "limit",
                 .letter = 'L',
                 .value = "N",
                 .help = "at most this many runs of a kind",
                 .fallback = "10"}},
      .examples = {{"How many start a second", "beamline top -o jsonl --jq .rate.started"}},
      .exits = {kExitUnreachable},
      .handler = Top,
  };
}

// Which dead letters a command is about.
std::vector<Flag> Filters(std::vector<Flag> own) {
  std::vector<Flag> flags = {
      {.name = "flow",
       .letter = 'f',
       .value = "NAME",
       .help = "only of this flow",
       .completes = Completes::kFlowName},
      {.name = "run", .value = "RUN", .help = "only of this run", .completes = Completes::kRun},
      {.name = "status",
       .letter = 's',
       .value = "STATUS",
       .help = "only those that failed their run, or that are parked and hold it open",
       .completes = Completes::kChoice,
       .choices = {"failed", "parked"}},
      {.name = "kind", .value = "KIND", .help = "only with this kind of error (exit, timeout, …)"},
      {.name = "since", .value = "TIME", .help = "only since: a duration (2h, 7d), or RFC 3339"},
      {.name = "query", .value = "JQ", .help = "only those for which this jq expression is true"},
  };
  flags.insert(flags.end(), own.begin(), own.end());
  return flags;
}

Positional Letters() {
  return {.name = "ID",
          .help = "as `beamline dlq list` names it: d17",
          .required = false,
          .repeated = true};
}

std::vector<Command> DeadLetters() {
  return {
      {.name = "dlq list",
       .group = kGroup,
       .summary = "List steps that failed for good or are parked, newest first",
       .description =
           "A step is listed from the moment it fails its run or is parked until it runs again, is "
           "taken as done, or is dropped.",
       .flags = Filters({{.name = "limit",
                          .letter = 'L',
                          .value = "N",
                          .help = "at most this many",
                          .fallback = "30"}}),
       .examples = {{"What a host that was down has left",
                     "beamline dlq list --query '.error.message | test(\"refused\")'"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = DlqList},
      {.name = "dlq show",
       .group = kGroup,
       .summary = "Show a dead letter: the step, its error and what can be done",
       .positionals = {{.name = "ID", .help = "as `beamline dlq list` names it: d17"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = DlqShow},
      {.name = "dlq retry",
       .group = kGroup,
       .summary = "Run the steps of dead letters again",
       .description = "As `beamline retry` of each step. What cannot be retried is listed.",
       .positionals = {Letters()},
       .flags = Filters(
           {{.name = "all", .help = "all that fit the other flags"},
            {.name = "downstream", .help = "what succeeded behind the steps runs again, too"},
            Reason()}),
       .examples = {{"All of a flow", "beamline dlq retry --flow enrich --all"}},
       .exits = {kExitFailed, kExitNotFound, kExitConflict, kExitUnreachable},
       .handler = DlqRetry},
      {.name = "dlq drop",
       .group = kGroup,
       .summary = "Take dead letters out of the list",
       .description =
           "A step that failed stays failed. A parked step fails by that, and its run goes on to "
           "its end.",
       .positionals = {Letters()},
       .flags = Filters({{.name = "all", .help = "all that fit the other flags"}, Reason()}),
       .exits = {kExitFailed, kExitNotFound, kExitConflict, kExitUnreachable},
       .handler = DlqDrop},
  };
}

}  // namespace

std::vector<Command> OperateCommands() {
  std::vector<Command> commands = {Retry(), ReplayOne(), Skip(), Pause(), TopCommand()};
  for (Command& command : DeadLetters()) commands.push_back(std::move(command));
  return commands;
}

}  // namespace beamline::cli
