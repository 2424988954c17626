// The commands that work on flow files, and those about this tool itself. None needs a daemon.
#include "cli/commands.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

Positional OneFlow() {
  return {.name = "FILE",
          .help = "the flow, or - for standard input",
          .completes = Completes::kFlowFile};
}

Command ValidateCommand() {
  return {
      .name = "validate",
      .group = "FLOWS",
      .summary = "Check flow files and show every mistake at its place",
      .description =
          "Checks keys, types, references, expressions, edges and the flows that are used. "
          "Directories are searched for *.flow.yaml; - is standard input.\n\n"
          "A daemon that runs is asked about the models, queues, registered flows and secrets that "
          "a flow names; what it does not have is an error. None is started for it: without one, "
          "and with --offline, models, queues and registered flows are warnings, and nothing is "
          "sent anywhere.\n\n"
          "`beamline explain CODE` says more about a finding.",
      .positionals = {{.name = "PATH",
                       .help = "files, directories or -",
                       .repeated = true,
                       .completes = Completes::kFlowFile}},
      .flags = {{.name = "format",
                 .value = "FORMAT",
                 .help = "how to print findings",
                 .fallback = "text",
                 .completes = Completes::kChoice,
                 .choices = {"text", "json", "sarif", "github"}},
                {.name = "fix", .help = "apply the corrections that are certain, then check again"},
                {.name = "offline", .help = "ask no daemon about what the flows name"}},
      .examples = {{"Everything below here", "beamline validate ."},
                   {"Correct what can be corrected", "beamline validate --fix deploy.flow.yaml"},
                   {"For code scanning", "beamline validate --format sarif . > beamline.sarif"}},
      .exits = {kExitInvalid, kExitNotFound},
      .handler = Validate,
  };
}

Command PlanCommand() {
  return {
      .name = "plan",
      .group = "FLOWS",
      .summary = "Show what a flow would do, without running it",
      .description =
          "Lists the steps in order with what each runs and waits for, the attempts that can be "
          "made at worst, and what the flow touches: commands, hosts, secrets, inputs.",
      .positionals = {{.name = "FLOW",
                       .help = "a file, - for standard input, or a registered flow",
                       .completes = Completes::kFlowOrFile}},
      .examples = {{"What it may touch", "beamline plan deploy.flow.yaml --jq .permissions"}},
      .exits = {kExitInvalid, kExitNotFound, kExitUnreachable},
      .handler = Plan,
  };
}

Command GraphCommand() {
  return {
      .name = "graph",
      .group = "FLOWS",
      .summary = "Draw the steps of a flow",
      .positionals = {OneFlow()},
      .flags = {{.name = "format",
                 .value = "FORMAT",
                 .help = "draw it as",
                 .fallback = "text",
                 .completes = Completes::kChoice,
                 .choices = {"text", "dot", "mermaid"}}},
      .examples = {{"A picture, with Graphviz",
                    "beamline graph ci.flow.yaml --format dot | dot -Tsvg > ci.svg"}},
      .exits = {kExitInvalid, kExitNotFound},
      .handler = Graph,
  };
}

}  // namespace

std::vector<Command> FlowCommands() {
  return {
      ValidateCommand(),
      PlanCommand(),
      GraphCommand(),
      {.name = "explain",
       .group = "FLOWS",
       .summary = "Explain a finding or a key of the flow format",
       .positionals = {{.name = "TOPIC",
                        .help = "a code (BL0203), a key (retry) or a key of a key (retry.max); "
                                "without it, all topics",
                        .required = false,
                        .completes = Completes::kTopic}},
       .examples = {{"A finding", "beamline explain BL0203"},
                    {"A key", "beamline explain foreach.max_parallel"}},
       .exits = {kExitNotFound},
       .handler = Explain},
      {.name = "schema",
       .group = "FLOWS",
       .summary = "Print the JSON Schema of flow or policy files, for editors",
       .description =
           "Editors that speak yaml-language-server complete and check files with it: put "
           "`# yaml-language-server: $schema=flow.schema.json` on the first line of a flow.\n\n"
           "Policies can be written and checked in an editor; this release applies none.",
       .positionals = {{.name = "KIND",
                        .help = "what kind of file",
                        .completes = Completes::kChoice,
                        .choices = {"flow", "policy"}}},
       .examples = {{"Keep it beside your flows", "beamline schema flow > flow.schema.json"}},
       .handler = Schema},
  };
}

std::vector<Command> ToolCommands() {
  constexpr const char* kGroup = "THIS TOOL";
  return {
      {.name = "completion",
       .group = kGroup,
       .summary = "Print the completion script of a shell",
       .positionals = {{.name = "SHELL",
                        .help = "the shell",
                        .completes = Completes::kChoice,
                        .choices = {"bash", "zsh", "fish"}}},
       .examples = {{"bash, in ~/.bashrc", "source <(beamline completion bash)"},
                    {"zsh, in a directory of $fpath",
                     "beamline completion zsh > ~/.zfunc/_beamline"},
                    {"fish",
                     "beamline completion fish > ~/.config/fish/completions/beamline.fish"}},
       .handler = Completion},
      {.name = "doctor",
       .group = kGroup,
       .summary = "Check this machine, and say what to do about it",
       .exits = {kExitFailed},
       .handler = Doctor},
      {.name = "version",
       .group = kGroup,
       .summary = "Print the version",
       .examples = {{"With the libraries in use", "beamline version -o json"}},
       .handler = Version},
      {.name = "__complete",
       .summary = "Print what can stand for the last word",
       .positionals = {{.name = "WORD", .help = "the words so far", .repeated = true}},
       .handler = Complete,
       .hidden = true},
      {.name = "__generate",
       .summary = "Write the manual pages and completion scripts",
       .positionals = {{.name = "DIR", .help = "where man/ and completions/ are"}},
       .handler = Generate,
       .hidden = true},
  };
}

}  // namespace beamline::cli
