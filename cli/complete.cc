// `beamline __complete -- WORD…`: what can stand for the last word, made from the command table
// and, for runs and steps, from the daemon if one runs. One candidate a line, a tab, its
// description;
// ":files", ":directories" and ":flows" ask the shell for names of files. Never an error message.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/connect.h"
#include "cli/contexts.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/catalogue.h"

namespace beamline::cli {
namespace {

// A person waits for the tab key; a daemon that does not answer must not hold the prompt.
constexpr int kSecondsMax = 2;
constexpr int kRunsMax = 50;
constexpr int kFlowsMax = 1000;

using Words = std::vector<std::string>;

// The words before the one that is completed, understood as far as they go.
struct Typed {
  const Command* command = nullptr;
  std::string family;  // "runs" while its member is missing
  Words positionals;
  const Flag* awaits = nullptr;  // the flag whose value comes next
  bool unknown = false;          // there is no such command
};

const Flag* FindFlag(const Command* command, const std::string& word) {
  const auto names = [&](const Flag& flag) {
    return word == absl::StrCat("--", flag.name) ||
           (flag.letter != 0 && word == std::string{'-', flag.letter});
  };
  if (command != nullptr) {
    for (const Flag& flag : command->flags) {
      if (names(flag)) return &flag;
    }
  }
  for (const Flag& flag : GlobalFlags()) {
    if (names(flag)) return &flag;
  }
  return nullptr;
}

bool IsFamily(const std::string& word) {
  return std::any_of(CommandTable().begin(), CommandTable().end(), [&](const Command& command) {
    return absl::StartsWith(command.name, word + " ");
  });
}

Typed Understand(const Words& words) {
  Typed typed;
  for (const std::string& word : words) {
    if (typed.unknown) break;
    if (typed.awaits != nullptr) {
      typed.awaits = nullptr;
    } else if (word.size() > 1 && word[0] == '-') {
      const Flag* flag = FindFlag(typed.command, word);
      if (flag != nullptr && !flag->value.empty()) typed.awaits = flag;
    } else if (!typed.family.empty() && typed.positionals.empty() &&
               FindCommand(absl::StrCat(typed.family, " ", word)) != nullptr) {
      typed.command = FindCommand(absl::StrCat(typed.family, " ", word));
      typed.family.clear();
    } else if (typed.command != nullptr) {
      typed.positionals.push_back(word);
    } else if (!typed.family.empty()) {
      typed.command = FindCommand(absl::StrCat(typed.family, " ", word));
      typed.unknown = typed.command == nullptr;
    } else if (IsFamily(word)) {
      typed.family = word;
      typed.command = FindCommand(word);  // of a family that is a command as well
    } else if (word != "help") {
      typed.command = FindCommand(word);
      typed.unknown = typed.command == nullptr;
    }
  }
  return typed;
}

// Collects candidates that start with what is typed.
class Candidates {
 public:
  explicit Candidates(std::string prefix) : prefix_(std::move(prefix)) {}

  // Whether it starts so.
  bool Add(const std::string& word, const std::string& description) {
    if (!absl::StartsWith(word, prefix_)) return false;
    absl::StrAppend(&text_, word, "\t", Printable(description), "\n");
    return true;
  }
  void Ask(const char* directive) { absl::StrAppend(&text_, directive, "\n"); }
  const std::string& text() const { return text_; }

 private:
  std::string prefix_;
  std::string text_;
};

// A person waits, with a word half typed.
constexpr absl::Duration kPatience = absl::Seconds(1);

const char* StatusWord(v1::Status status) {
  switch (status) {
    case v1::STATUS_RUNNING:
      return "running";
    case v1::STATUS_WAITING:
      return "waiting";
    case v1::STATUS_PAUSED:
      return "paused";
    case v1::STATUS_SUCCEEDED:
      return "succeeded";
    case v1::STATUS_FAILED:
      return "failed";
    case v1::STATUS_CANCELLED:
      return "cancelled";
    default:
      return "pending";
  }
}

void AddRuns(const Context& context, Candidates* candidates) {
  candidates->Add("@latest", "the newest run");
  candidates->Add("@latest-failed", "the newest run that failed");
  auto client = ConnectToRunning(context, kPatience);
  if (!client.ok()) return;
  v1::ListRunsRequest request;
  request.set_page_size(kRunsMax);
  const auto runs = (*client)->ListRuns(request);
  if (!runs.ok()) return;
  const absl::Time now = absl::Now();
  for (const v1::RunSummary& run : runs->runs()) {
    const std::string about = absl::StrCat(run.flow(), " ", StatusWord(run.status()), ", ",
                                           ShortDuration(now - ToTime(run.started_at())), " ago");
    // The short form, as lists show it, unless the long one was begun.
    const std::string short_id = ShortId(run.id());
    if (!candidates->Add(short_id, about)) candidates->Add(run.id(), about);
  }
}

void AddFlowNames(const Context& context, Candidates* candidates) {
  auto client = ConnectToRunning(context, kPatience);
  if (!client.ok()) return;
  v1::ListRunsRequest request;
  request.set_page_size(kRunsMax);
  const auto runs = (*client)->ListRuns(request);
  if (!runs.ok()) return;
  std::set<std::string> names;
  for (const v1::RunSummary& run : runs->runs()) names.insert(run.flow());
  for (const std::string& name : names) candidates->Add(name, "");
}

void AddRegistered(const Context& context, Candidates* candidates) {
  auto client = ConnectToRunning(context);
  if (!client.ok()) return;
  v1::ListFlowsRequest request;
  request.set_page_size(kFlowsMax);
  const auto flows = (*client)->ListFlows(request);
  if (!flows.ok()) return;
  for (const v1::FlowSummary& flow : flows->flows()) {
    candidates->Add(flow.version().name(),
                    absl::StrCat("version ", flow.version().version(), ", registered"));
  }
}

void AddSteps(const Context& context, const std::string& run, Candidates* candidates) {
  auto client = ConnectToRunning(context, kPatience);
  if (!client.ok()) return;
  const auto id = (*client)->ResolveRun(run);
  if (!id.ok()) return;
  const auto found = (*client)->GetRun(*id);
  if (!found.ok()) return;
  std::vector<const v1::Step*> rest;
  for (const v1::Step& step : found->run().steps()) rest.push_back(&step);
  while (!rest.empty()) {
    const v1::Step* step = rest.back();
    rest.pop_back();
    candidates->Add(step->path(), absl::StrCat(step->kind(), " ", StatusWord(step->status())));
    for (const v1::Step& child : step->steps()) rest.push_back(&child);
  }
}

void AddTasks(const Context& context, Candidates* candidates) {
  auto client = ConnectToRunning(context, kPatience);
  if (!client.ok()) return;
  v1::ListTasksRequest request;
  request.set_page_size(kRunsMax);
  const auto tasks = (*client)->ListTasks(request);
  if (!tasks.ok()) return;
  for (const v1::TaskSummary& task : tasks->tasks()) {
    candidates->Add(absl::StrCat("t", task.task()), absl::StrCat(task.flow(), ": ", task.title()));
  }
}

void AddContexts(Candidates* candidates) {
  candidates->Add(kLocalContext, "the daemon of this machine");
  const absl::StatusOr<Contexts> contexts = ReadContexts(ContextsPath(ProcessEnvironment()));
  if (!contexts.ok()) return;
  for (const auto& [name, remote] : contexts->remotes) candidates->Add(name, remote.address);
}

void AddTopics(Candidates* candidates) {
  for (const flowspec::CodeEntry& code : flowspec::Codes()) candidates->Add(code.code, code.title);
  for (const std::string& topic : flowspec::ExplainTopics()) {
    if (flowspec::FindCode(topic) == nullptr) candidates->Add(topic, "key of the flow format");
  }
}

void AddValues(const Context& context, Completes completes, const Words& choices,
               const Typed& typed, Candidates* candidates) {
  switch (completes) {
    case Completes::kNothing:
      return;
    case Completes::kFile:
      return candidates->Ask(":files");
    case Completes::kDirectory:
      return candidates->Ask(":directories");
    case Completes::kFlowFile:
      return candidates->Ask(":flows");
    case Completes::kFlowName:
      return AddFlowNames(context, candidates);
    case Completes::kFlow:
      return AddRegistered(context, candidates);
    case Completes::kFlowOrFile:
      AddRegistered(context, candidates);
      return candidates->Ask(":flows");
    case Completes::kRun:
      return AddRuns(context, candidates);
    case Completes::kStep:
      if (!typed.positionals.empty()) AddSteps(context, typed.positionals[0], candidates);
      return;
    case Completes::kTask:
      return AddTasks(context, candidates);
    case Completes::kContext:
      return AddContexts(candidates);
    case Completes::kTopic:
      return AddTopics(candidates);
    case Completes::kChoice:
      for (const std::string& choice : choices) candidates->Add(choice, "");
  }
}

void AddFlags(const Command* command, Candidates* candidates) {
  if (command != nullptr) {
    for (const Flag& flag : command->flags) candidates->Add("--" + flag.name, flag.help);
  }
  for (const Flag& flag : GlobalFlags()) candidates->Add("--" + flag.name, flag.help);
}

void AddCommands(const std::string& family, Candidates* candidates) {
  Words families;
  for (const Command& command : CommandTable()) {
    if (command.hidden) continue;
    const size_t blank = command.name.find(' ');
    const std::string first = command.name.substr(0, blank);
    if (!family.empty()) {
      if (first == family) candidates->Add(command.name.substr(blank + 1), command.summary);
    } else if (blank == std::string::npos) {
      candidates->Add(command.name, command.summary);
      if (IsFamily(first)) families.push_back(first);
    } else if (std::find(families.begin(), families.end(), first) == families.end()) {
      families.push_back(first);
      candidates->Add(first, absl::StrCat("commands about ", AboutFamily(first)));
    }
  }
}

std::string CompletionsOf(const Context& context, Words words) {
  const std::string partial = words.back();
  words.pop_back();
  const Typed typed = Understand(words);
  if (typed.unknown) return "";
  Candidates candidates(partial);
  if (typed.awaits != nullptr) {
    AddValues(context, typed.awaits->completes, typed.awaits->choices, typed, &candidates);
  } else if (absl::StartsWith(partial, "-")) {
    AddFlags(typed.command, &candidates);
    if (partial == "-" && typed.command != nullptr) candidates.Add("-", "standard input");
  } else if (typed.command == nullptr || !typed.family.empty()) {
    AddCommands(typed.family, &candidates);
  } else {
    const std::vector<Positional>& positionals = typed.command->positionals;
    const size_t at = std::min(typed.positionals.size(), positionals.size());
    const bool repeats = !positionals.empty() && positionals.back().repeated;
    if (at < positionals.size() || repeats) {
      const Positional& positional = at < positionals.size() ? positionals[at] : positionals.back();
      AddValues(context, positional.completes, positional.choices, typed, &candidates);
    }
  }
  return candidates.text();
}

}  // namespace

int Complete(const Arguments& arguments, Context& context) {
  std::signal(SIGALRM, [](int) { _exit(kExitOk); });
  alarm(kSecondsMax);
  context.quiet = true;
  context.out.Write(CompletionsOf(context, arguments.All("WORD")));
  return kExitOk;
}

}  // namespace beamline::cli
