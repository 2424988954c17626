// Renders the command table as help; see help.h.
#include "cli/help.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

// Longer lines than this are tiring to read, however wide the terminal is.
constexpr int kWidthMax = 100;
constexpr int kTermMax = 26;

struct Item {
  std::string term;
  std::string help;
};

void AppendHeading(std::string_view title, bool color, std::string* text) {
  absl::StrAppend(text, text->empty() ? "" : "\n", Paint(color, Ink::kBold, title), "\n");
}

// Terms in one column of at least `column`, their help beside them; a term that is too long has a
// line of its own.
void AppendItems(const std::vector<Item>& items, int width, std::string* text, int column = 0) {
  for (const Item& item : items) {
    const int term = DisplayWidth(item.term);
    if (term <= kTermMax) column = std::max(column, term);
  }
  if (column == 0) column = kTermMax;
  const int help_width = std::max(24, std::min(width, kWidthMax) - column - 4);
  for (const Item& item : items) {
    std::string margin = absl::StrCat("  ", PadRight(item.term, column), "  ");
    if (DisplayWidth(item.term) > column) {
      absl::StrAppend(text, "  ", item.term, "\n");
      margin = std::string(column + 4, ' ');
    }
    const std::vector<std::string> lines = WrapText(item.help, help_width);
    if (lines.empty()) absl::StrAppend(text, "  ", item.term, "\n");
    for (const std::string& line : lines) {
      absl::StrAppend(text, margin, line, "\n");
      margin = std::string(column + 4, ' ');
    }
  }
}

void AppendParagraphs(const std::string& paragraphs, int width, std::string* text) {
  for (const absl::string_view paragraph : absl::StrSplit(paragraphs, "\n\n")) {
    if (!text->empty()) absl::StrAppend(text, "\n");
    for (const auto& line : WrapText(std::string(paragraph), std::min(width, kWidthMax) - 1)) {
      absl::StrAppend(text, line, "\n");
    }
  }
}

std::string FlagTerm(const Flag& flag) {
  return absl::StrCat(
      flag.letter == 0 ? "    " : absl::StrCat("-", std::string(1, flag.letter), ", "), "--",
      flag.name, flag.value.empty() ? "" : " ", flag.value);
}

std::string FlagHelp(const Flag& flag) {
  std::string help = flag.help;
  if (!flag.choices.empty()) absl::StrAppend(&help, ": ", absl::StrJoin(flag.choices, "|"));
  if (!flag.fallback.empty()) absl::StrAppend(&help, " (default ", flag.fallback, ")");
  return help;
}

void AppendFlags(const std::vector<Flag>& flags, int width, std::string* text) {
  std::vector<Item> items;
  for (const Flag& flag : flags) items.push_back({FlagTerm(flag), FlagHelp(flag)});
  AppendItems(items, width, text);
}

// The groups in the order in which the table first names them.
std::vector<std::string> Groups() {
  std::vector<std::string> groups;
  for (const Command& command : CommandTable()) {
    const bool known = std::find(groups.begin(), groups.end(), command.group) != groups.end();
    if (!command.hidden && !known) groups.push_back(command.group);
  }
  return groups;
}

}  // namespace

std::string UsageWord(const Positional& positional) {
  const std::string word = absl::StrCat(positional.name, positional.repeated ? "…" : "");
  return positional.required ? word : absl::StrCat("[", word, "]");
}

std::string UsageLine(const Command& command) {
  std::string line = absl::StrCat("beamline ", command.name);
  for (const Positional& positional : command.positionals) {
    absl::StrAppend(&line, " ", UsageWord(positional));
  }
  return absl::StrCat(line, " [flags]");
}

std::string HelpOfAll(bool color, int width) {
  std::string text = "Durable flows of commands, requests and people.\n";
  AppendHeading("USAGE", color, &text);
  absl::StrAppend(&text, "  beamline <command> [flags]\n");
  int column = 0;
  for (const Command& command : CommandTable()) {
    if (!command.hidden) column = std::max(column, DisplayWidth(command.name));
  }
  for (const std::string& group : Groups()) {
    AppendHeading(group, color, &text);
    std::vector<Item> items;
    for (const Command& command : CommandTable()) {
      if (!command.hidden && command.group == group)
        items.push_back({command.name, command.summary});
    }
    AppendItems(items, width, &text, column);
  }
  AppendHeading("FLAGS OF EVERY COMMAND", color, &text);
  AppendFlags(GlobalFlags(), width, &text);
  AppendHeading("EXAMPLES", color, &text);
  absl::StrAppend(&text,
                  "  $ beamline run hello.flow.yaml -i who=you\n"
                  "  $ beamline validate .\n"
                  "  $ beamline runs list --status failed --jq '.[].id'\n");
  AppendHeading("LEARN MORE", color, &text);
  absl::StrAppend(&text,
                  "  beamline <command> --help   what a command does, with examples\n"
                  "  beamline explain            every finding and every key of the format\n"
                  "  man beamline-flow           the flow format\n");
  return text;
}

std::string HelpOfFamily(const std::string& family, bool color, int width) {
  std::string text;
  AppendHeading("USAGE", color, &text);
  absl::StrAppend(&text, "  beamline ", family, " <command> [flags]\n");
  AppendHeading("COMMANDS", color, &text);
  std::vector<Item> items;
  for (const Command& command : CommandTable()) {
    if (!command.hidden && absl::StartsWith(command.name, absl::StrCat(family, " "))) {
      items.push_back({command.name.substr(family.size() + 1), command.summary});
    }
  }
  AppendItems(items, width, &text);
  absl::StrAppend(&text, "\nbeamline ", family, " <command> --help says more about each.\n");
  return text;
}

std::string HelpOfCommand(const Command& command, bool color, int width) {
  std::string text;
  AppendParagraphs(absl::StrCat(command.summary, "."), width, &text);
  if (!command.description.empty()) AppendParagraphs(command.description, width, &text);
  AppendHeading("USAGE", color, &text);
  absl::StrAppend(&text, "  ", UsageLine(command), "\n");
  if (!command.positionals.empty()) {
    AppendHeading("ARGUMENTS", color, &text);
    std::vector<Item> items;
    for (const Positional& positional : command.positionals) {
      std::string help = positional.help;
      if (!positional.choices.empty()) {
        absl::StrAppend(&help, ": ", absl::StrJoin(positional.choices, "|"));
      }
      items.push_back({UsageWord(positional), help});
    }
    AppendItems(items, width, &text);
  }
  if (!command.flags.empty()) {
    AppendHeading("FLAGS", color, &text);
    AppendFlags(command.flags, width, &text);
  }
  AppendHeading("FLAGS OF EVERY COMMAND", color, &text);
  AppendFlags(GlobalFlags(), width, &text);
  if (!command.examples.empty()) {
    AppendHeading("EXAMPLES", color, &text);
    for (const Example& example : command.examples) {
      absl::StrAppend(&text, "  ", Paint(color, Ink::kDim, absl::StrCat("# ", example.what)),
                      "\n  $ ", example.command, "\n");
    }
  }
  if (!command.exits.empty()) {
    AppendHeading("EXIT CODES", color, &text);
    std::vector<Item> items = {{"0", ExitCodeMeaning(kExitOk)}};
    std::vector<ExitCode> codes = command.exits;
    codes.push_back(kExitUsage);
    std::sort(codes.begin(), codes.end());
    for (const ExitCode code : codes)
      items.push_back({absl::StrCat(int{code}), ExitCodeMeaning(code)});
    AppendItems(items, width, &text);
  }
  return text;
}

}  // namespace beamline::cli
