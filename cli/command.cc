// Looks commands up and reads command lines through CLI11, one application per command; what the
// library cannot do (see the comments) is done here.
#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/help.h"
#include "flowspec/finding.h"

namespace beamline::cli {
namespace {

using Words = std::vector<std::string>;

bool IsFlag(std::string_view word) { return word.size() > 1 && word[0] == '-'; }

Invocation Error(std::string message, std::string hint) {
  Invocation invocation;
  invocation.error = std::move(message);
  invocation.hint = std::move(hint);
  return invocation;
}

Invocation Help(const Command* command, std::string family = {}) {
  Invocation invocation;
  invocation.kind = Invocation::Kind::kHelp;
  invocation.command = command;
  invocation.family = std::move(family);
  return invocation;
}

// True if the next word is the value of the global flag `word`, as in `-o json`.
bool TakesNextWord(std::string_view word) {
  for (const Flag& flag : GlobalFlags()) {
    if (flag.value.empty()) continue;
    if (word == absl::StrCat("--", flag.name)) return true;
    if (flag.letter != 0 && word == std::string{'-', flag.letter}) return true;
  }
  return false;
}

// Takes the first word that is neither a flag nor a flag's value out of `words`, from `*at` on.
std::optional<std::string> TakeWord(Words& words, size_t* at) {
  while (*at < words.size()) {
    if (words[*at] == "--") return std::nullopt;
    if (!IsFlag(words[*at])) {
      std::string word = words[*at];
      words.erase(words.begin() + static_cast<ptrdiff_t>(*at));
      return word;
    }
    *at += TakesNextWord(words[*at]) ? 2 : 1;
  }
  return std::nullopt;
}

// "runs" for a family, so that its members are found.
Words MembersOf(const std::string& family) {
  Words members;
  for (const Command& command : CommandTable()) {
    const auto prefix = absl::StrCat(family, " ");
    if (!command.hidden && absl::StartsWith(command.name, prefix)) {
      members.push_back(command.name.substr(prefix.size()));
    }
  }
  return members;
}

Invocation UnknownCommand(const std::string& word) {
  Words names;
  for (const Command& command : CommandTable()) {
    if (!command.hidden) names.push_back(command.name.substr(0, command.name.find(' ')));
  }
  const std::string near = flowspec::DidYouMean(word, names);
  return Error(absl::StrCat("unknown command `", word, "`"),
               near.empty() ? "`beamline --help` lists the commands"
                            : absl::StrCat("did you mean `beamline ", near, "`?"));
}

Invocation UnknownMember(const std::string& family, const std::string& word) {
  const Words members = MembersOf(family);
  const std::string near = flowspec::DidYouMean(word, members);
  return Error(absl::StrCat("unknown command `", family, " ", word, "`"),
               near.empty()
                   ? absl::StrCat("`beamline ", family, "` has ", absl::StrJoin(members, ", "))
                   : absl::StrCat("did you mean `beamline ", family, " ", near, "`?"));
}

std::string OptionNames(const Flag& flag) {
  return flag.letter == 0 ? absl::StrCat("--", flag.name)
                          : absl::StrCat("-", std::string(1, flag.letter), ",--", flag.name);
}

// The flags of one command as a CLI11 application.
class FlagParser {
 public:
  explicit FlagParser(const Command& command) {
    app_.set_help_flag();
    app_.allow_extras();  // positionals and unknown flags are ours
    for (const auto* flags : {&command.flags, &GlobalFlags()}) {
      for (const Flag& flag : *flags) AddFlag(flag);
    }
  }

  // The words that are no flags or unknown ones, in order. Throws CLI::ParseError.
  Words Parse(Words words, Arguments* arguments) {
    std::reverse(words.begin(), words.end());
    app_.parse(words);
    for (const auto& [flag, option] : options_) {
      if (!flag->fallback.empty()) arguments->SetFallback(flag->name, flag->fallback);
      if (flag->value.empty()) {
        if (option->count() > 0 && option->results().back() != "false") {
          arguments->Add(flag->name, "true");
        }
        continue;
      }
      // results(), not a bound variable: reading into one turns "{}" into an empty list.
      for (const std::string& value : option->results()) arguments->Add(flag->name, value);
    }
    return app_.remaining();
  }

 private:
  void AddFlag(const Flag& flag) {
    CLI::Option* option =
        flag.value.empty() ? app_.add_flag(OptionNames(flag)) : app_.add_option(OptionNames(flag));
    if (!flag.value.empty()) {
      // One word each time it is given; otherwise `-i a=1 FILE` would swallow FILE, and a value
      // like [1,2] would be split.
      option->expected(1)->allow_extra_args(false);
    }
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    options_.emplace_back(&flag, option);
  }

  CLI::App app_;
  std::vector<std::pair<const Flag*, CLI::Option*>> options_;
};

std::optional<Invocation> CheckChoice(const std::string& what, const Words& choices,
                                      const std::string& value) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) {
    return std::nullopt;
  }
  const std::string near = flowspec::DidYouMean(value, choices);
  return Error(absl::StrCat(what, " cannot be `", value, "`"),
               near.empty() ? absl::StrCat("it is one of ", absl::StrJoin(choices, ", "))
                            : absl::StrCat("did you mean `", near, "`?"));
}

Invocation UnknownFlag(const Command& command, std::string_view word) {
  const std::string name(word.substr(0, word.find('=')));
  Words names;
  for (const auto* flags : {&command.flags, &GlobalFlags()}) {
    for (const Flag& flag : *flags) names.push_back(absl::StrCat("--", flag.name));
  }
  const std::string near =
      absl::StartsWith(name, "--") ? flowspec::DidYouMean(name, names) : std::string();
  return Error(absl::StrCat("unknown flag `", name, "` for `beamline ", command.name, "`"),
               near.empty() ? absl::StrCat("`beamline ", command.name, " --help` lists its flags")
                            : absl::StrCat("did you mean `", near, "`?"));
}

// Gives `words` to the command's positionals; an error if there are too many or too few.
std::optional<Invocation> AssignPositionals(const Command& command, const Words& words,
                                            Arguments* arguments) {
  const std::string usage = absl::StrCat("usage: ", UsageLine(command));
  size_t next = 0;
  for (const Positional& positional : command.positionals) {
    if (next == words.size()) {
      if (!positional.required) break;
      return Error(absl::StrCat("`beamline ", command.name, "` needs ", positional.name), usage);
    }
    do {
      if (auto error = CheckChoice(positional.name, positional.choices, words[next])) return error;
      arguments->Add(positional.name, words[next++]);
    } while (positional.repeated && next < words.size());
  }
  if (next == words.size()) return std::nullopt;
  return Error(absl::StrCat("unexpected argument `", words[next], "`"), usage);
}

std::optional<Invocation> CheckFlagChoices(const Command& command, const Arguments& arguments) {
  for (const auto* flags : {&command.flags, &GlobalFlags()}) {
    for (const Flag& flag : *flags) {
      for (const std::string& value : arguments.All(flag.name)) {
        auto error = CheckChoice(absl::StrCat("--", flag.name), flag.choices, value);
        if (error) return error;
      }
    }
  }
  return std::nullopt;
}

// Reads what follows the command's name. `literal` is what stands after `--`.
Invocation ParseFor(const Command& command, const Words& words, const Words& literal) {
  Invocation invocation;
  Words rest;
  try {
    rest = FlagParser(command).Parse(words, &invocation.arguments);
  } catch (const CLI::ParseError&) {
    // Only a flag without its value is left to go wrong; CLI11 calls it by all its names.
    const std::string last = words.empty() ? std::string() : words.back();
    return Error(IsFlag(last) ? absl::StrCat("the flag `", last, "` needs a value")
                              : "a flag that takes no value was given one",
                 absl::StrCat("`beamline ", command.name, " --help` shows how"));
  }
  if (invocation.arguments.On("help")) return Help(&command);
  Words positionals;
  for (std::string& word : rest) {
    if (IsFlag(word)) return UnknownFlag(command, word);
    positionals.push_back(std::move(word));
  }
  positionals.insert(positionals.end(), literal.begin(), literal.end());
  if (auto error = CheckFlagChoices(command, invocation.arguments)) return *error;
  if (auto error = AssignPositionals(command, positionals, &invocation.arguments)) return *error;
  invocation.kind = Invocation::Kind::kRun;
  invocation.command = &command;
  return invocation;
}

Invocation HelpFor(const Words& words) {
  if (words.empty()) return Help(nullptr);
  const std::string name = absl::StrJoin(
      words.begin(), words.begin() + std::min<ptrdiff_t>(2, static_cast<ptrdiff_t>(words.size())),
      " ");
  if (const Command* command = FindCommand(name)) return Help(command);
  if (const Command* command = FindCommand(words[0])) return Help(command);
  if (MembersOf(words[0]).empty()) return UnknownCommand(words[0]);
  return words.size() == 1 ? Help(nullptr, words[0]) : UnknownMember(words[0], words[1]);
}

}  // namespace

bool Arguments::Has(std::string_view name) const { return !All(name).empty(); }

const std::string& Arguments::Get(std::string_view name) const {
  static const std::string* const kNothing = new std::string;
  for (const Entry& entry : entries_) {
    if (entry.name == name) return entry.values.empty() ? entry.fallback : entry.values.back();
  }
  return *kNothing;
}

const std::vector<std::string>& Arguments::All(std::string_view name) const {
  static const Words* const kNone = new Words;
  for (const Entry& entry : entries_) {
    if (entry.name == name) return entry.values;
  }
  return *kNone;
}

Arguments::Entry& Arguments::At(std::string_view name) {
  for (Entry& entry : entries_) {
    if (entry.name == name) return entry;
  }
  return entries_.emplace_back(Entry{std::string(name), {}, {}});
}

void Arguments::Add(std::string_view name, std::string value) {
  At(name).values.push_back(std::move(value));
}

void Arguments::SetFallback(std::string_view name, std::string value) {
  At(name).fallback = std::move(value);
}

const Command* FindCommand(std::string_view name) {
  for (const Command& command : CommandTable()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

Invocation ParseCommandLine(const std::vector<std::string>& argv) {
  const auto mark = std::find(argv.begin(), argv.end(), "--");
  Words words(argv.begin(), mark);
  const Words literal(mark == argv.end() ? mark : mark + 1, argv.end());

  size_t at = 0;
  const std::optional<std::string> first = TakeWord(words, &at);
  if (!first) {
    const auto has = [&](const char* flag) {
      return std::find(words.begin(), words.end(), flag) != words.end();
    };
    if (has("--version")) return ParseFor(*FindCommand("version"), {}, {});
    for (const std::string& word : words) {
      if (word != "-h" && word != "--help" && IsFlag(word) && !TakesNextWord(word)) {
        return Error(absl::StrCat("`", word, "` without a command"),
                     "`beamline --help` lists the commands");
      }
    }
    return Help(nullptr);
  }
  if (*first == "help") return HelpFor(words);
  // A family may be a command as well: `inbox`, and `inbox delegate`.
  const Command* alone = FindCommand(*first);
  const Words without_first = words;
  if (MembersOf(*first).empty()) {
    return alone ? ParseFor(*alone, words, literal) : UnknownCommand(*first);
  }
  const std::optional<std::string> second = TakeWord(words, &at);
  if (!second && !alone) return Help(nullptr, *first);
  const Command* member = second ? FindCommand(absl::StrCat(*first, " ", *second)) : nullptr;
  if (member) return ParseFor(*member, words, literal);
  return alone ? ParseFor(*alone, without_first, literal) : UnknownMember(*first, *second);
}

}  // namespace beamline::cli
