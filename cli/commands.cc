// The whole command table, and the flags of every command.
#include "cli/commands.h"

#include <iterator>

namespace beamline::cli {

const std::vector<Command>& CommandTable() {
  static const auto* const kTable = [] {
    auto* table = new std::vector<Command>;
    for (auto part : {RunCommands, OperateCommands, InboxCommands, FlowCommands, RegistryCommands,
                      WorkerCommands, DaemonCommands, ContextCommands, ToolCommands}) {
      std::vector<Command> commands = part();
      table->insert(table->end(), std::make_move_iterator(commands.begin()),
                    std::make_move_iterator(commands.end()));
    }
    return table;
  }();
  return *kTable;
}

std::string AboutFamily(std::string_view family) {
  if (family == "flow") return "registered flows";
  if (family == "dlq") return "dead letters: steps that failed for good or are parked";
  if (family == "inbox") return "what waits for people";
  return family == "daemon" ? "the daemon" : std::string(family);
}

const std::vector<Flag>& GlobalFlags() {
  static const auto* const kFlags = new std::vector<Flag>{
      {.name = "output",
       .letter = 'o',
       .value = "FORMAT",
       .help = "print data as",
       .completes = Completes::kChoice,
       .choices = {"text", "json", "jsonl", "yaml", "none"}},
      {.name = "jq", .value = "EXPR", .help = "filter the data with a jq expression (built in)"},
      {.name = "context",
       .value = "NAME",
       .help = "the daemon that is meant",
       .completes = Completes::kContext},
      {.name = "socket",
       .value = "PATH",
       .help = "the daemon's socket, instead of the context's",
       .completes = Completes::kFile},
      {.name = "data-dir",
       .value = "DIR",
       .help = "the daemon's data directory, instead of the context's",
       .completes = Completes::kDirectory},
      {.name = "config",
       .value = "FILE",
       .help = "read this configuration file instead of the user's",
       .completes = Completes::kFile},
      {.name = "color",
       .value = "WHEN",
       .help = "use colours",
       .completes = Completes::kChoice,
       .choices = {"auto", "always", "never"}},
      {.name = "quiet", .letter = 'q', .help = "no hints and no progress"},
      {.name = "yes", .letter = 'y', .help = "do not ask: yes to every question"},
      {.name = "no-input", .help = "do not ask: fail where an answer is needed"},
      {.name = "help", .letter = 'h', .help = "show this help"},
  };
  return *kFlags;
}

}  // namespace beamline::cli
