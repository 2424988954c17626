// The commands about flows that the daemon knows by name.
#include "cli/commands.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr const char* kGroup = "REGISTERED FLOWS";

Positional FlowName() {
  return {.name = "NAME",
          .help =
              "a registered flow: NAME, NAME@sha256:DIGEST or sha256:DIGEST; the start of the "
              "digest is enough",
          .completes = Completes::kFlow};
}

Command Register() {
  return {
      .name = "flow register",
      .group = kGroup,
      .summary = "Make flows known to the daemon by name",
      .description =
          "Checks each flow and makes it the current version of its name: `beamline run NAME` runs "
          "it from anywhere, and its `triggers` start runs by themselves. Runs that go on keep the "
          "version they started with. Runs by name start in the directory of the file that was "
          "registered; of a flow that was registered over the network, each in a directory of its "
          "own.\n\n"
          "The files that `uses: ./…` leads to are registered with the flow, as they are now: its "
          "digest covers them.\n\n"
          "A flow that is current already is left as it is, so that registering again and again, "
          "as in a deployment, does no harm.",
      .positionals = {{.name = "FILE",
                       .help = "flow files, or - for standard input",
                       .repeated = true,
                       .completes = Completes::kFlowFile}},
      .flags = {{.name = "check-digest",
                 .value = "DIGEST",
                 .help = "register only if the flow's digest is this one"}},
      .examples = {{"All flows of a directory", "beamline flow register flows/*.flow.yaml"}},
      .exits = {kExitInvalid, kExitNotFound, kExitConflict, kExitUnreachable},
      .handler = FlowRegister,
  };
}

Command Test() {
  return {
      .name = "flow test",
      .group = kGroup,
      .summary = "Run the test cases of flows, without asking a model",
      .description =
          "Runs each case under `test:` of the flows: its answers stand in for models, and what "
          "the "
          "run comes to is compared with what the case expects. Other steps do what they do in any "
          "run. Such a run is a rehearsal: it neither uses nor fills caches, has no idempotency "
          "key, and starts no other flow by a trigger.\n\n"
          "The exit code is 1 if a case fails.",
      .positionals = {{.name = "FILE",
                       .help = "flow files",
                       .required = false,
                       .repeated = true,
                       .completes = Completes::kFlowFile}},
      .flags = {{.name = "case", .value = "NAME", .help = "run the case of this name only"},
                {.name = "timeout",
                 .value = "DURATION",
                 .help = "how long a case may take",
                 .fallback = "1m"},
                {.name = "junit",
                 .value = "FILE",
                 .help = "write the cases as a JUnit XML report",
                 .completes = Completes::kFile},
                {.name = "record",
                 .value = "RUN",
                 .help = "print the case that this run would be, with the answers it got",
                 .completes = Completes::kRun}},
      .examples = {{"All flows of a directory", "beamline flow test flows/*.flow.yaml"},
                   {"A case from what a model has answered",
                    "beamline flow test --record @latest >> article.flow.yaml"}},
      .exits = {kExitFailed, kExitInvalid, kExitNotFound, kExitUnreachable},
      .handler = FlowTest,
  };
}

}  // namespace

std::vector<Command> RegistryCommands() {
  return {
      Register(),
      Test(),
      {.name = "flow list",
       .group = kGroup,
       .summary = "List registered flows, and when they run next",
       .flags = {{.name = "limit",
                  .letter = 'L',
                  .value = "N",
                  .help = "at most this many",
                  .fallback = "100"}},
       .examples = {{"Names only", "beamline flow list --jq '.[].name'"}},
       .exits = {kExitUnreachable},
       .handler = FlowList},
      {.name = "flow show",
       .group = kGroup,
       .summary = "Show a registered flow: its versions, its triggers and what came of them",
       .positionals = {FlowName()},
       .flags = {{.name = "source", .help = "print the flow itself, as it was registered"}},
       .examples = {{"Why it did not run last night", "beamline flow show nightly"},
                    {"The text of an older version",
                     "beamline flow show nightly@sha256:9f3c1a --source"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = FlowShow},
      {.name = "flow diff",
       .group = kGroup,
       .summary = "Show how two flows differ",
       .description = "Prints a unified diff; nothing where they are the same.",
       .positionals = {{.name = "FROM",
                        .help = "a registered flow, in any version, or a file",
                        .completes = Completes::kFlowOrFile},
                       {.name = "TO", .help = "another one", .completes = Completes::kFlowOrFile}},
       .examples = {{"What registering this file would change",
                     "beamline flow diff deploy deploy.flow.yaml"}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = FlowDiff},
      {.name = "flow rm",
       .group = kGroup,
       .summary = "Take flows away from the daemon, with their triggers",
       .description =
           "Runs that go on do so, and past ones stay. The history of the name stays, too: a flow "
           "that is registered again goes on with the next version.",
       .positionals = {{.name = "NAME",
                        .help = "the names of registered flows",
                        .repeated = true,
                        .completes = Completes::kFlow}},
       .exits = {kExitNotFound, kExitUnreachable},
       .handler = FlowRemove},
  };
}

}  // namespace beamline::cli
