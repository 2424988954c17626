// Writes manual pages and completion scripts; see manual.h.
#include "cli/manual.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/mdoc.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

// The day on which the text last changed in substance.
constexpr const char* kDate = "November 24, 2026";

std::string Header(const std::string& title, const std::string& name, const std::string& about) {
  return absl::StrCat(".\\\" Written by: beamline __generate\n.Dd ", kDate, "\n.Dt ",
                      absl::AsciiStrToUpper(title), " 1\n.Os\n.Sh NAME\n.Nm ", name, "\n.Nd ",
                      MdocProse(about), "\n");
}

std::string FlagItem(const Flag& flag) {
  std::string item = ".It";
  if (flag.letter != 0) absl::StrAppend(&item, " Fl ", std::string(1, flag.letter), " ,");
  absl::StrAppend(&item, " Fl Fl ", MdocLiteral(flag.name));
  if (!flag.value.empty()) absl::StrAppend(&item, " Ar ", MdocWord(flag.value));
  std::string help = flag.help;
  help[0] = absl::ascii_toupper(static_cast<unsigned char>(help[0]));
  if (!flag.choices.empty()) absl::StrAppend(&help, ": ", absl::StrJoin(flag.choices, ", "));
  if (!flag.fallback.empty()) absl::StrAppend(&help, " (default ", flag.fallback, ")");
  return absl::StrCat(item, "\n", MdocSentences(help), ".\n");
}

std::string FlagList(const std::vector<Flag>& flags) {
  std::string text = ".Bl -tag -width Ds\n";
  for (const Flag& flag : flags) absl::StrAppend(&text, FlagItem(flag));
  return text + ".El\n";
}

void AppendParagraphs(const std::string& paragraphs, std::string* text) {
  for (const auto paragraph : absl::StrSplit(paragraphs, "\n\n", absl::SkipEmpty())) {
    absl::StrAppend(text, ".Pp\n", MdocSentences(std::string(paragraph)), "\n");
  }
}

std::string SynopsisLine(const Command& command) {
  std::string text = absl::StrCat(".Nm beamline ", MdocLiteral(command.name), "\n");
  for (const Positional& positional : command.positionals) {
    const std::string word =
        absl::StrCat("Ar ", MdocWord(positional.name), positional.repeated ? " ..." : "");
    absl::StrAppend(&text, positional.required ? "." : ".Op ", word, "\n");
  }
  return text + ".Op Ar flags\n";
}

// What one command does: arguments, flags, examples.
std::string CommandText(const Command& command, bool with_title) {
  std::string text;
  if (with_title) absl::StrAppend(&text, ".Ss beamline ", MdocLiteral(command.name), "\n");
  absl::StrAppend(&text, MdocSentences(command.summary + "."), "\n");
  AppendParagraphs(command.description, &text);
  if (!command.positionals.empty() || !command.flags.empty()) {
    absl::StrAppend(&text, ".Bl -tag -width Ds\n");
    for (const Positional& positional : command.positionals) {
      std::string help = positional.help;
      help[0] = absl::ascii_toupper(static_cast<unsigned char>(help[0]));
      if (!positional.choices.empty()) {
        absl::StrAppend(&help, ": ", absl::StrJoin(positional.choices, ", "));
      }
      absl::StrAppend(&text, ".It Ar ", MdocWord(positional.name), "\n", MdocSentences(help),
                      ".\n");
    }
    for (const Flag& flag : command.flags) absl::StrAppend(&text, FlagItem(flag));
    absl::StrAppend(&text, ".El\n");
  }
  return text;
}

std::string ExitList(std::vector<ExitCode> codes) {
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  std::string text = ".Sh EXIT STATUS\n.Bl -tag -width 3n\n";
  for (const ExitCode code : codes) {
    absl::StrAppend(&text, ".It ", int{code}, "\n", MdocProse(ExitCodeMeaning(code)), "\n");
  }
  return text + ".El\n";
}

std::string ExampleList(const std::vector<const Command*>& commands) {
  std::string text;
  for (const Command* command : commands) {
    for (const Example& example : command->examples) {
      absl::StrAppend(&text, text.empty() ? "" : ".Pp\n", MdocSentences(example.what),
                      ":\n.Bd -literal -offset indent\n", MdocLiteral(example.command), "\n.Ed\n");
    }
  }
  return text.empty() ? "" : ".Sh EXAMPLES\n" + text;
}

ManualPage FamilyPage(const std::string& family, const std::vector<const Command*>& commands) {
  const bool single = commands.size() == 1 && commands[0]->name == family;
  const std::string page = "beamline-" + family;
  std::string about =
      single ? commands[0]->summary : absl::StrCat("commands about ", AboutFamily(family));
  about[0] = absl::ascii_tolower(static_cast<unsigned char>(about[0]));
  std::string text = Header(page, page, about);
  absl::StrAppend(&text, ".Sh SYNOPSIS\n");
  std::vector<ExitCode> codes = {kExitOk, kExitUsage};
  for (const Command* command : commands) {
    absl::StrAppend(&text, SynopsisLine(*command));
    codes.insert(codes.end(), command->exits.begin(), command->exits.end());
  }
  absl::StrAppend(&text, ".Sh DESCRIPTION\n");
  for (const Command* command : commands) absl::StrAppend(&text, CommandText(*command, !single));
  absl::StrAppend(&text, ".Pp\nThe flags of every command are described in\n.Xr beamline 1 .\n",
                  ExitList(codes), ExampleList(commands),
                  ".Sh SEE ALSO\n.Xr beamline 1 ,\n.Xr beamline-flow 5 ,\n.Xr beamlined 8\n");
  return {page + ".1", text};
}

std::string FamilyOf(const Command& command) {
  return command.name.substr(0, command.name.find(' '));
}

// The families in the order of the table, each with its commands.
std::vector<std::pair<std::string, std::vector<const Command*>>> Families() {
  std::vector<std::pair<std::string, std::vector<const Command*>>> families;
  for (const Command& command : CommandTable()) {
    if (command.hidden) continue;
    const std::string family = FamilyOf(command);
    if (families.empty() || families.back().first != family) families.push_back({family, {}});
    families.back().second.push_back(&command);
  }
  return families;
}

constexpr const char* kOverviewTail = R"mdoc(.Sh ENVIRONMENT
.Bl -tag -width BEAMLINE_DATA_DIR
.It Ev BEAMLINE_CONTEXT
The daemon that is meant, by name; as
.Fl Fl context .
.It Ev BEAMLINE_SOCKET
Its socket; as
.Fl Fl socket .
.It Ev BEAMLINE_DATA_DIR
Its data directory; as
.Fl Fl data\-dir .
.It Ev BEAMLINE_CONFIG
The user's configuration file; as
.Fl Fl config .
.It Ev NO_COLOR
No colours, if it is not empty.
.It Ev CLICOLOR_FORCE
Colours even where the output is no terminal, if it is neither empty nor 0.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa .beamline.yaml
Settings of a project: the nearest one in the current directory or above it.
A file that belongs to another user is passed over.
.It Pa $XDG_CONFIG_HOME/beamline/config.yaml
Settings of the user
.Pq by default below Pa ~/.config .
.It Pa $XDG_CONFIG_HOME/beamline/contexts.yaml
The daemons elsewhere that have names, and the one that is meant; written by
.Xr beamline-context 1 .
.It Pa $XDG_RUNTIME_DIR/beamline/default.sock
The socket of the daemon of the context
.Dq default .
.It Pa $XDG_STATE_HOME/beamline
Its data
.Pq by default below Pa ~/.local/state .
.El
.Pp
Both files of settings are YAML, with these keys:
.Bl -tag -width data_dir
.It Cm context
The daemon that is meant.
.It Cm output
What
.Fl Fl output
means where it is not given.
.It Cm color
Likewise for
.Fl Fl color .
.It Cm data_dir
The daemon's data directory; relative to the file.
.It Cm socket
The daemon's socket; relative to the file.
.El
.Pp
A flag wins over the environment, that over the project's file, that over the context chosen with
.Ql beamline context use ,
that over the user's.
A socket or data directory means a daemon of this machine, whatever context is chosen by something
weaker.
Whoever names a data directory and no socket means the socket
.Pa beamlined.sock
in that directory.
)mdoc";

ManualPage Overview() {
  std::string text =
      Header("beamline", "beamline", "durable flows of commands, requests and people");
  absl::StrAppend(&text,
                  ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar flags\n.Sh DESCRIPTION\n.Nm\nchecks, "
                  "starts, watches and stops runs of flows.\nA flow is a YAML file, described in\n"
                  ".Xr beamline-flow 5 .\nThe daemon\n.Xr beamlined 8\nruns it and records every "
                  "step before and after it happens; the first command that needs a daemon\n"
                  "starts one.\n.Pp\nData goes to standard output, everything else to standard "
                  "error.\n.Sh COMMANDS\n.Bl -tag -width Ds\n");
  for (const auto& [family, commands] : Families()) {
    for (const Command* command : commands) {
      absl::StrAppend(&text, ".It Cm ", MdocLiteral(command->name), "\n",
                      MdocProse(command->summary), ".\nSee\n.Xr beamline-", family, " 1 .\n");
    }
  }
  absl::StrAppend(&text, ".El\n.Sh FLAGS OF EVERY COMMAND\n", FlagList(GlobalFlags()),
                  kOverviewTail,
                  ExitList({kExitOk, kExitFailed, kExitUsage, kExitInvalid, kExitAccess,
                            kExitNotFound, kExitConflict, kExitWaiting, kExitDenied, kExitRejected,
                            kExitCancelled, kExitUnreachable, kExitTimeout, kExitInterrupted}),
                  ".Sh SEE ALSO\n");
  std::vector<std::string> families;
  for (const auto& family : Families()) families.push_back(family.first);
  std::sort(families.begin(), families.end());
  for (const std::string& family : families)
    absl::StrAppend(&text, ".Xr beamline-", family, " 1 ,\n");
  absl::StrAppend(&text, ".Xr beamline-flow 5 ,\n.Xr beamlined 8\n");
  return {"beamline.1", text};
}

bool WriteFile(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  return static_cast<bool>(file.flush());
}

}  // namespace

std::vector<ManualPage> ManualPages() {
  std::vector<ManualPage> pages = {Overview()};
  for (const auto& [family, commands] : Families()) pages.push_back(FamilyPage(family, commands));
  pages.push_back({"beamline-flow.5", FlowManual(kDate)});
  return pages;
}

int Generate(const Arguments& arguments, Context& context) {
  const std::string& directory = arguments.Get("DIR");
  bool written = true;
  for (const ManualPage& page : ManualPages()) {
    written = WriteFile(absl::StrCat(directory, "/man/", page.file), page.text) && written;
  }
  const std::pair<const char*, const char*> scripts[] = {
      {"bash", "beamline.bash"}, {"zsh", "_beamline"}, {"fish", "beamline.fish"}};
  for (const auto& [shell, file] : scripts) {
    const std::string path = absl::StrCat(directory, "/completions/", file);
    written = WriteFile(path, CompletionScript(shell)) && written;
  }
  return written ? int{kExitOk} : Fail(context, kExitFailed, "cannot write below " + directory);
}

}  // namespace beamline::cli
