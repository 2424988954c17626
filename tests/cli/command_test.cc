// The command line: what a line of words is understood as.
#include "cli/command.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "cli/help.h"

using beamline::cli::Arguments;
using beamline::cli::Command;
using beamline::cli::CommandTable;
using beamline::cli::FindCommand;
using beamline::cli::GlobalFlags;
using beamline::cli::HelpOfCommand;
using beamline::cli::Invocation;
using beamline::cli::ParseCommandLine;
using Words = std::vector<std::string>;

namespace {

Arguments Understood(const Words& words) {
  Invocation invocation = ParseCommandLine(words);
  INFO(invocation.error);
  REQUIRE(invocation.kind == Invocation::Kind::kRun);
  return invocation.arguments;
}

std::string ErrorOf(const Words& words) {
  const Invocation invocation = ParseCommandLine(words);
  REQUIRE(invocation.kind == Invocation::Kind::kError);
  return invocation.error + " / " + invocation.hint;
}

}  // namespace

TEST_CASE("flags and positionals may be mixed") {
  const Arguments arguments =
      Understood({"run", "-i", "a=1", "f.flow.yaml", "--input=b:=[1,2]", "-q"});
  CHECK(arguments.Get("FLOW") == "f.flow.yaml");
  CHECK(arguments.All("input") == Words{"a=1", "b:=[1,2]"});
  CHECK(arguments.On("quiet"));
  CHECK_FALSE(arguments.On("yes"));
}

TEST_CASE("values that CLI11 would read as lists stay whole") {
  CHECK(Understood({"version", "--jq", "[1,2]"}).Get("jq") == "[1,2]");
  CHECK(Understood({"version", "--jq", "{}"}).All("jq") == Words{"{}"});
  CHECK(Understood({"version", "--jq", "a,b"}).Get("jq") == "a,b");
  CHECK(Understood({"version", "--jq", "."}).Get("jq") == ".");
  CHECK(Understood({"run", "f", "-i", ""}).All("input") == Words{""});
}

TEST_CASE("a repeated flag does not swallow what follows") {
  const Arguments arguments = Understood({"validate", "--format", "json", "a", "b"});
  CHECK(arguments.All("PATH") == Words{"a", "b"});
}

TEST_CASE("globals stand before, between and after the words of a command") {
  for (const Words& words :
       {Words{"-o", "json", "runs", "list"}, Words{"runs", "-o", "json", "list"},
        Words{"runs", "list", "-ojson"}}) {
    const Invocation invocation = ParseCommandLine(words);
    REQUIRE(invocation.kind == Invocation::Kind::kRun);
    CHECK(invocation.command->name == "runs list");
    CHECK(invocation.arguments.Get("output") == "json");
  }
}

TEST_CASE("the last value wins, and a fallback is no value") {
  const Arguments arguments = Understood({"graph", "f", "--format", "dot", "--format", "mermaid"});
  CHECK(arguments.Get("format") == "mermaid");
  const Arguments none = Understood({"graph", "f"});
  CHECK(none.Get("format") == "text");
  CHECK_FALSE(none.Has("format"));
}

TEST_CASE("what follows -- is never a flag") {
  CHECK(Understood({"validate", "--", "-o", "--help"}).All("PATH") == Words{"-o", "--help"});
}

TEST_CASE("- is a file, not a flag") {
  CHECK(Understood({"validate", "-"}).All("PATH") == Words{"-"});
}

TEST_CASE("mistakes are answered with what was meant") {
  CHECK(ErrorOf({"valdate"}) == "unknown command `valdate` / did you mean `beamline validate`?");
  CHECK(ErrorOf({"run", "f", "--inptu", "x"}) ==
        "unknown flag `--inptu` for `beamline run` / did you mean `--input`?");
  CHECK(ErrorOf({"graph", "f", "--format=mermad"}) ==
        "--format cannot be `mermad` / did you mean `mermaid`?");
  CHECK(ErrorOf({"graph"}) == "`beamline graph` needs FILE / usage: beamline graph FILE [flags]");
  CHECK(ErrorOf({"graph", "a", "b"}) ==
        "unexpected argument `b` / usage: beamline graph FILE [flags]");
  CHECK(ErrorOf({"graph", "a", "--format"}).find("`--format` needs a value") != std::string::npos);
}

TEST_CASE("help is asked for in many ways") {
  CHECK(ParseCommandLine({}).kind == Invocation::Kind::kHelp);
  CHECK(ParseCommandLine({"-h"}).command == nullptr);
  CHECK(ParseCommandLine({"help", "runs", "list"}).command == FindCommand("runs list"));
  CHECK(ParseCommandLine({"runs", "list", "--help"}).command == FindCommand("runs list"));
  CHECK(ParseCommandLine({"runs"}).family == "runs");
  CHECK(ParseCommandLine({"graph", "--nonsense", "-h"}).command == FindCommand("graph"));
}

TEST_CASE("the table is whole") {
  std::set<std::string> names;
  for (const Command& command : CommandTable()) {
    CAPTURE(command.name);
    CHECK(names.insert(command.name).second);
    CHECK((command.handler != nullptr));
    CHECK_FALSE(command.summary.empty());
    CHECK(command.summary.back() != '.');
    if (!command.hidden) CHECK_FALSE(command.group.empty());
    std::set<std::string> flags;
    std::set<char> letters;
    for (const auto* list : {&command.flags, &GlobalFlags()}) {
      for (const auto& flag : *list) {
        CAPTURE(flag.name);
        CHECK(flags.insert(flag.name).second);
        if (flag.letter != 0) CHECK(letters.insert(flag.letter).second);
        CHECK_FALSE(flag.help.empty());
        const auto& choices = flag.choices;
        const bool known =
            std::find(choices.begin(), choices.end(), flag.fallback) != choices.end();
        if (!choices.empty() && !flag.fallback.empty()) CHECK(known);
      }
    }
    for (size_t i = 0; i + 1 < command.positionals.size(); ++i) {
      CHECK_FALSE(command.positionals[i].repeated);
    }
  }
}

TEST_CASE("every example of a command is one that its parser takes") {
  for (const Command& command : CommandTable()) {
    for (const auto& example : command.examples) {
      CAPTURE(example.command);
      // Words up to the first pipe or redirection; the quoting of examples is simple.
      Words words;
      std::string word;
      char quote = 0;
      for (const char c : example.command + " ") {
        if (quote == 0 && (c == '|' || c == '>' || c == '<' || c == ')')) break;
        if (c == quote) {
          quote = 0;
        } else if (quote == 0 && (c == '\'' || c == '"')) {
          quote = c;
        } else if (quote == 0 && c == ' ') {
          if (!word.empty()) words.push_back(word);
          word.clear();
        } else {
          word += c;
        }
      }
      if (words.empty()) continue;  // source <(beamline completion bash)
      if (words[0] != "beamline") continue;
      words.erase(words.begin());
      const Invocation invocation = ParseCommandLine(words);
      CHECK(invocation.error == "");
      CHECK(invocation.command == &command);
    }
  }
}

TEST_CASE("help names every flag and stays within the width") {
  for (const Command& command : CommandTable()) {
    const std::string help = HelpOfCommand(command, false, 80);
    for (const auto* list : {&command.flags, &GlobalFlags()}) {
      for (const auto& flag : *list) CHECK(help.find("--" + flag.name) != std::string::npos);
    }
  }
}
