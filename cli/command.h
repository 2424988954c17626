// The command table's types: a command is one value, and its parser, its `--help`, its manual page
// and its completions are all made from that value.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/context.h"
#include "cli/exit_code.h"

namespace beamline::cli {

// What the shell offers for a word.
enum class Completes {
  kNothing,
  kFile,
  kDirectory,
  kFlowFile,    // *.flow.yaml and directories
  kFlowName,    // of flows that have run
  kFlow,        // names of registered flows
  kFlowOrFile,  // names of registered flows, and files as kFlowFile
  kRun,         // ids of runs, @latest, @latest-failed
  kStep,        // step ids of the RUN named before
  kTask,        // names of tasks that wait: t31
  kContext,     // names of contexts
  kTopic,       // codes of findings and keys of the format, for `explain`
  kChoice,      // the fixed `choices`
};

struct Positional {
  std::string name;  // "FILE"
  std::string help;
  bool required = true;
  bool repeated = false;  // only the last one of a command may be
  Completes completes = Completes::kNothing;
  std::vector<std::string> choices = {};
};

struct Flag {
  std::string name;           // without dashes: "break-at"
  char letter = 0;            // 'i' for -i; 0 = none
  std::string value;          // placeholder of its value ("FILE"); empty = a switch
  std::string help;           // lower case, no full stop
  std::string fallback = {};  // value if it is not given
  bool repeated = false;
  Completes completes = Completes::kNothing;
  std::vector<std::string> choices = {};  // the only values allowed, if any
};

struct Example {
  std::string what;     // "Run a flow with an input"
  std::string command;  // "beamline run hello.flow.yaml -i who=you"
};

// The values of one command line. Flags are asked for by long name, positionals by theirs.
class Arguments {
 public:
  // Whether it was given (a fallback does not count).
  bool Has(std::string_view name) const;
  // The last value given, else the fallback, else "". For a switch "true" or "".
  const std::string& Get(std::string_view name) const;
  // All values given, in order.
  const std::vector<std::string>& All(std::string_view name) const;
  bool On(std::string_view switch_name) const { return Has(switch_name); }

  void Add(std::string_view name, std::string value);
  void SetFallback(std::string_view name, std::string value);

 private:
  struct Entry {
    std::string name;
    std::vector<std::string> values;
    std::string fallback;
  };
  Entry& At(std::string_view name);
  std::vector<Entry> entries_;
};

// Does the command and returns its exit code. Errors have been told on context.err.
using Handler = int (*)(const Arguments&, Context&);

struct Command {
  std::string name;         // "run", "runs list"
  std::string group;        // heading in `beamline --help`: "Runs"
  std::string summary;      // one line, without a full stop
  std::string description;  // paragraphs separated by an empty line; may be empty
  std::vector<Positional> positionals = {};
  std::vector<Flag> flags = {};
  std::vector<Example> examples = {};
  std::vector<ExitCode> exits = {};  // beside 0 and 2
  Handler handler = nullptr;
  bool hidden = false;  // not in help, manual or completions
};

// All commands, in the order in which help shows them (commands_*.cc).
const std::vector<Command>& CommandTable();

// The flags that every command takes.
const std::vector<Flag>& GlobalFlags();

// What the commands of a family are about: "runs", "the daemon".
std::string AboutFamily(std::string_view family);

// The command of this name, or null.
const Command* FindCommand(std::string_view name);

// What a command line asks for.
struct Invocation {
  enum class Kind { kRun, kHelp, kError };
  Kind kind = Kind::kError;
  const Command* command = nullptr;  // of kRun; of kHelp where one command is meant
  std::string family;                // of kHelp: "runs" for `beamline runs --help`
  Arguments arguments;
  std::string error;  // of kError: one line
  std::string hint;   // of kError: what to do; may be empty
};

// Reads `words` (argv without the program's name).
Invocation ParseCommandLine(const std::vector<std::string>& words);

}  // namespace beamline::cli
