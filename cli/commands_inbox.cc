// The commands about what waits for people.
#include "cli/commands.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr const char* kGroup = "PEOPLE";

Positional TaskName() {
  return {.name = "TASK",
          .help = "a task, as `beamline inbox` names it: t31",
          .completes = Completes::kTask};
}

// What every decision takes.
std::vector<Flag> DecisionFlags(std::vector<Flag> own) {
  std::vector<Flag> flags = {
      {.name = "comment", .letter = 'm', .value = "TEXT", .help = "why; kept with the decision"},
      {.name = "round",
       .value = "N",
       .help = "decide only if this is the round that is asked about"},
      {.name = "digest",
       .value = "DIGEST",
       .help = "decide only if this (or its start) is the digest of what is shown"},
      {.name = "allow-self",
       .help = "decide about a run that you have started, where its flow allows it"},
      {.name = "idempotency-key",
       .value = "KEY",
       .help = "deciding again with the same key changes nothing"},
  };
  flags.insert(flags.begin(), own.begin(), own.end());
  return flags;
}

std::vector<Flag> FillingFlags() {
  return DecisionFlags(
      {{.name = "set",
        .letter = 's',
        .value = "K=V",
        .help = "fill in a field of the form: k=text, k:=json or k=@file",
        .repeated = true},
       {.name = "payload", .value = "JSON", .help = "fill in the whole form, instead of fields"}});
}

const std::vector<ExitCode> kDecisionExits = {kExitInvalid, kExitAccess, kExitNotFound,
                                              kExitConflict, kExitUnreachable};

std::vector<Command> Decisions() {
  return {
      {.name = "approve",
       .group = kGroup,
       .summary = "Say yes to a task",
       .description =
           "The decision is about exactly what the task shows now: where that has changed since "
           "`beamline review`, name what you saw with --round or --digest. Where the task has a "
           "form, what is filled in is approved; whoever changes it asks those again who approved "
           "before. The same answer again succeeds, another one is a conflict.",
       .positionals = {TaskName()},
       .flags = FillingFlags(),
       .examples = {{"Only what you have seen", "beamline approve t31 --round 2"}},
       .exits = kDecisionExits,
       .handler = Approve},
      {.name = "reject",
       .group = kGroup,
       .summary = "Say no to a task",
       .description = "One no is enough: the step fails, and with it what needs its approval.",
       .positionals = {TaskName()},
       .flags = DecisionFlags({}),
       .exits = kDecisionExits,
       .handler = Reject},
      {.name = "request-changes",
       .group = kGroup,
       .summary = "Send a task's work back",
       .description =
           "Runs the step again that the flow names (`on_changes`), and all that depends on it, "
           "with the comment as `feedback`. Then the task asks again, in its next round.",
       .positionals = {TaskName()},
       .flags = DecisionFlags({}),
       .examples = {{"Say what is missing", "beamline request-changes t31 -m \"cite a source\""}},
       .exits = kDecisionExits,
       .handler = RequestChanges},
      {.name = "respond",
       .group = kGroup,
       .summary = "Fill in a task's form",
       .description = "What is filled in is approved by that, and becomes the step's output.",
       .positionals = {TaskName()},
       .flags = FillingFlags(),
       .examples = {{"A form of two fields", "beamline respond t7 -s amount=120 -s reason=late"}},
       .exits = kDecisionExits,
       .handler = Respond},
  };
}

}  // namespace

std::vector<Command> InboxCommands() {
  std::vector<Command> commands = {
      {.name = "inbox",
       .group = kGroup,
       .summary = "List the tasks that wait for somebody",
       .flags = {{.name = "mine", .help = "only those that you may decide"},
                 {.name = "limit",
                  .letter = 'L',
                  .value = "N",
                  .help = "at most this many",
                  .fallback = "30"},
                 {.name = "watch", .letter = 'w', .help = "show the list until Ctrl-C"}},
       .examples = {{"Names only", "beamline inbox --mine --jq '.[].task'"}},
       .exits = {kExitUnreachable},
       .handler = Inbox},
      {.name = "inbox delegate",
       .group = kGroup,
       .summary = "Hand your vote on a task to somebody else",
       .description = "They may then decide as you could, and you no more.",
       .positionals = {TaskName(),
                       {.name = "PERSON",
                        .help = "a user of the daemon's machine, or the name in a certificate"}},
       .examples = {{"While you are away", "beamline inbox delegate t31 grace"}},
       .exits = kDecisionExits,
       .handler = InboxDelegate},
      {.name = "review",
       .group = kGroup,
       .summary = "Look at a task, and decide",
       .description =
           "Shows what is asked, what has changed since the last round, and what happens once it "
           "is approved. On a terminal keys decide: a approves, c asks for changes, r rejects, e "
           "fills in the form in $EDITOR, v shows everything in $PAGER, q leaves it. Elsewhere it "
           "prints the same.",
       .positionals = {TaskName()},
       .exits = kDecisionExits,
       .handler = Review},
  };
  for (Command& command : Decisions()) commands.push_back(std::move(command));
  return commands;
}

}  // namespace beamline::cli
