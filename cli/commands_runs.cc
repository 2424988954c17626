// The commands that start runs, look at them and stop them.
#include "cli/commands.h"
#include "cli/run_selection.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr const char* kGroup = "RUNS";

Positional Flow() {
  return {.name = "FLOW",
          .help = "a file, - for standard input, or a registered flow: NAME or NAME@DIGEST",
          .completes = Completes::kFlowOrFile};
}

// Left out on a terminal, a picker opens.
Positional RunName() {
  return {.name = "RUN",
          .help = "an id, a unique part of its start or end, @latest or @latest-failed",
          .required = false,
          .completes = Completes::kRun};
}

// What `run` and `submit` take alike.
std::vector<Flag> StartFlags(std::vector<Flag> own) {
  std::vector<Flag> flags = {
      {.name = "input",
       .letter = 'i',
       .value = "K=V",
       .help = "an input: k=text, k:=json or k=@file",
       .repeated = true},
      {.name = "inputs-file",
       .value = "FILE",
       .help = "inputs from a JSON or YAML file; -i wins",
       .completes = Completes::kFile},
      {.name = "label", .value = "K=V", .help = "a label to find the run by", .repeated = true},
      {.name = "idempotency-key",
       .value = "KEY",
       .help = "starting again with the same key gives the run that is there"},
      {.name = "check-digest",
       .value = "DIGEST",
       .help = "start only if the flow's digest is this one"},
      {.name = "break-at",
       .value = "STEP",
       .help = "hold this step before it starts, until `beamline resume`",
       .repeated = true},
      {.name = "mock-llm",
       .value = "FILE|RUN",
       .help = "answers in place of models: of a file, or as that run got them",
       .completes = Completes::kRun},
      {.name = "only",
       .value = "STEP",
       .help = "run this top-level step and no other, whatever it needs"},
  };
  flags.insert(flags.end(), own.begin(), own.end());
  return flags;
}

Flag Timeout() {
  return {.name = "timeout",
          .value = "DURATION",
          .help = "stop watching after this time (30s, 10m); the run goes on"};
}

Flag Junit() {
  return {.name = "junit",
          .value = "FILE",
          .help = "write the steps as a JUnit XML report",
          .completes = Completes::kFile};
}

Flag Progress() {
  return {.name = "progress",
          .value = "KIND",
          .help = "how to show progress",
          .fallback = "auto",
          .completes = Completes::kChoice,
          .choices = {"auto", "tty", "plain", "jsonl", "none"}};
}

Command Run() {
  return {
      .name = "run",
      .group = kGroup,
      .summary = "Run a flow and watch it",
      .description =
          "Checks the flow and its inputs, starts a run, shows its progress and ends with the "
          "run's exit code. A daemon is started if there is none. Ctrl-C asks whether to cancel "
          "the run or to leave it running.\n\n"
          "Standard output gets the flow's outputs as JSON, or with -o and --jq the whole run. "
          "Progress, and what the steps print, go to standard error; `beamline tail RUN "
          "--no-follow` prints what they printed to standard output.\n\n"
          "On a terminal, inputs that are missing are asked for; elsewhere they are an error.\n\n"
          "What has a / in it, ends with .yaml or .yml, or is there, is a file; anything else is "
          "the name of a flow that `beamline flow register` has made known to the daemon.",
      .positionals = {Flow()},
      .flags = StartFlags({
          {.name = "dry-run", .help = "show what would run, and run nothing"},
          {.name = "detach", .letter = 'd', .help = "start it and do not watch"},
          Progress(),
          Timeout(),
          Junit(),
      }),
      .examples = {{"With inputs: text, and any JSON",
                    "beamline run hello.flow.yaml -i who=you -i times:=3"},
                   {"From standard input", "beamline run - < hello.flow.yaml"},
                   {"A registered flow, in one of its versions",
                    "beamline run deploy@sha256:9f3c1a"},
                   {"In a CI job", "beamline run ci.flow.yaml --junit report.xml --timeout 20m"}},
      .exits = {kExitFailed, kExitInvalid, kExitNotFound, kExitConflict, kExitWaiting,
                kExitCancelled, kExitUnreachable, kExitTimeout, kExitInterrupted},
      .handler = RunFlow,
  };
}

Command SubmitCommand() {
  return {
      .name = "submit",
      .group = kGroup,
      .summary = "Start a run and print its id",
      .positionals = {Flow()},
      .flags = StartFlags({
          {.name = "wait", .help = "wait until it is finished"},
          Timeout(),
          Junit(),
      }),
      .examples = {{"At most once a day, however often it is called",
                    "beamline submit report.flow.yaml --idempotency-key \"report-$(date -I)\""}},
      .exits = {kExitFailed, kExitInvalid, kExitNotFound, kExitConflict, kExitWaiting,
                kExitCancelled, kExitUnreachable, kExitTimeout, kExitInterrupted},
      .handler = Submit,
  };
}

std::vector<Command> RunsFamily() {
  return {
      {.name = "runs list",
       .group = kGroup,
       .summary = "List runs, newest first",
       .flags = WithRunFilters(
           {{.name = "limit",
             .letter = 'L',
             .value = "N",
             .help = "at most this many",
             .fallback = "30"},
            {.name = "watch", .letter = 'w', .help = "show the list until q or Ctrl-C"}}),
       .examples = {{"What failed today", "beamline runs list --status failed --since 24h"},
                    {"What failed for one reason",
                     "beamline runs list -s failed --query '.error | test(\"refused\")'"},
                    {"Ids only", "beamline runs list --jq '.[].id'"}},
       .exits = {kExitUnreachable},
       .handler = RunsList},
      {.name = "runs show",
       .group = kGroup,
       .summary = "Show a run: its steps, attempts and outputs",
       .positionals = {RunName()},
       .examples =
           {{"The last one", "beamline runs show @latest"},
            {"One output",
             "beamline runs show @latest --jq '.steps[] | select(.id == \"build\").output'"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = RunsShow},
      {.name = "runs diff",
       .group = kGroup,
       .summary = "Show what differs between two runs",
       .description =
           "Of a run and its retry or replay, or the last good run and one that failed: their "
           "flows, "
           "inputs, outputs, and what became of each step. Values are compared by their structure. "
           "How long a step took is told where one took at least twice as long as the other.\n\n"
           "With -o json: {from, to: {id, flow, digest, status, took_ms?}, same, changed: {flow?, "
           "digest?, status?, error?: {from, to}}, flow_diff?, inputs?, outputs?: [{path, from?, "
           "to?}], steps: [{path, only?, status?, attempts?, took_ms?, reason?, error?: {from, "
           "to}, "
           "output?: [{path, from?, to?}]}], steps_equal, events: {TYPE: {from, to}}}. What is "
           "equal "
           "is absent.",
       .positionals = {{.name = "FROM",
                        .help = "an id, a unique part of its start or end, @latest or "
                                "@latest-failed",
                        .completes = Completes::kRun},
                       {.name = "TO", .help = "as FROM", .completes = Completes::kRun}},
       .examples = {{"A run that failed, and the last one",
                     "beamline runs diff @latest-failed "
                     "@latest"},
                    {"Steps that came to something else",
                     "beamline runs diff 4k2mze 9p1q7r --jq '.steps[] | select(.output) | .path'"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = RunsDiff},
      {.name = "runs export",
       .group = kGroup,
       .summary = "Print all events of a run as JSON lines, or save the whole run",
       .description =
           "With --to, a directory is filled with run.json, events.jsonl, flow.yaml, what each "
           "step printed, and the artifacts.",
       .positionals = {RunName()},
       .flags = {{.name = "to",
                  .value = "DIR",
                  .help = "an empty or new directory for all there is of the run",
                  .completes = Completes::kDirectory}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = RunsExport},
      {.name = "runs rm",
       .group = kGroup,
       .summary = "Delete finished runs with their events and output",
       .positionals = {{.name = "RUN",
                        .help = "an id, a unique part of its start or end, @latest or "
                                "@latest-failed",
                        .repeated = true,
                        .completes = Completes::kRun}},
       .exits = {kExitNotFound, kExitConflict, kExitUnreachable},
       .handler = RunsRemove},
  };
}

Command SendSignal() {
  return {
      .name = "signal",
      .group = kGroup,
      .summary = "Send a signal to a run",
      .description =
          "Ends a `wait` of the run for the signal NAME; one that comes before the wait is kept "
          "for it. The payload is the output of that step. With --idempotency-key the same signal "
          "is taken once, however often it is sent.",
      .positionals = {{.name = "RUN",
                       .help = "an id, a unique part of its start or end, or @latest",
                       .completes = Completes::kRun},
                      {.name = "NAME", .help = "what the flow's `wait: {signal: …}` names"}},
      .flags = {{.name = "data",
                 .letter = 'd',
                 .value = "K=V",
                 .help = "a field of the payload: k=text, k:=json or k=@file",
                 .repeated = true},
                {.name = "payload",
                 .value = "JSON",
                 .help = "the whole payload, instead of fields"},
                {.name = "idempotency-key",
                 .value = "KEY",
                 .help = "sending again with the same key changes nothing"}},
      .examples = {{"Say that an order was paid",
                    "beamline signal @latest paid -d order:=17 -d by=card"}},
      .exits = {kExitNotFound, kExitConflict, kExitUnreachable},
      .handler = Signal};
}

std::vector<Command> Following() {
  return {
      {.name = "tail",
       .group = kGroup,
       .summary = "Print what the steps of a run print, as it comes",
       .positionals = {RunName()},
       .flags = {{.name = "step",
                  .value = "STEP",
                  .help = "only of this step",
                  .completes = Completes::kStep},
                 {.name = "grep", .value = "TEXT", .help = "only lines that contain this text"},
                 {.name = "since",
                  .value = "TIME",
                  .help = "only since: a duration (10m), or RFC 3339"},
                 {.name = "no-follow", .help = "end at the present"}},
       .examples = {{"Follow one step", "beamline tail @latest --step build"}},
       .exits = {kExitNotFound, kExitUnreachable, kExitInterrupted},
       .handler = Tail},
      {.name = "wait",
       .group = kGroup,
       .summary = "Wait until a run is finished",
       .description = "Ends with the run's exit code, as `run` does.",
       .positionals = {RunName()},
       .flags = {{.name = "for",
                  .value = "WHAT",
                  .help = "done, waiting (for a person or signal, too) or step:ID",
                  .fallback = "done"},
                 Timeout(),
                 Junit()},
       .exits = {kExitFailed, kExitNotFound, kExitWaiting, kExitCancelled, kExitUnreachable,
                 kExitTimeout, kExitInterrupted},
       .handler = Wait},
      {.name = "cancel",
       .group = kGroup,
       .summary = "Cancel a run",
       .description = "Stops the steps that run, then runs `finally`. The reason is recorded.\n\n" +
                      ManyRunsText("not finished"),
       .positionals = {RunName()},
       .flags = WithRunFilters(
           {{.name = "all", .help = "all that fit the other flags"},
            {.name = "reason", .value = "TEXT", .help = "why; shown with the run"},
            {.name = "force", .help = "kill at once, without `on_failure` and `finally`"}}),
       .examples = {{"All runs of a flow that wait for somebody",
                     "beamline cancel --flow deploy --status waiting"}},
       .exits = {kExitFailed, kExitNotFound, kExitConflict, kExitUnreachable},
       .handler = Cancel},
      {.name = "resume",
       .group = kGroup,
       .summary = "Let a paused run go on, or held steps start",
       .description =
           "A run is paused by `beamline pause`; steps are held where it was started with "
           "--break-at.\n\n" +
           ManyRunsText("paused"),
       .positionals = {RunName()},
       .flags = WithRunFilters({{.name = "all", .help = "all that fit the other flags"},
                                {.name = "step",
                                 .value = "STEP",
                                 .help = "this step only, by its path",
                                 .completes = Completes::kStep}}),
       .exits = {kExitFailed, kExitNotFound, kExitConflict, kExitUnreachable},
       .handler = Resume},
      SendSignal(),
      {.name = "why",
       .group = kGroup,
       .summary = "Explain why a step waits, was skipped or failed",
       .positionals = {RunName(),
                       {.name = "STEP",
                        .help = "a step's id or path",
                        .required = false,
                        .completes = Completes::kStep}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = Why},
  };
}

}  // namespace

std::vector<Command> RunCommands() {
  std::vector<Command> commands = {Run(), SubmitCommand()};
  for (auto part : {RunsFamily, Following}) {
    for (Command& command : part()) commands.push_back(std::move(command));
  }
  return commands;
}

}  // namespace beamline::cli
