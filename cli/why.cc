// Finds the reasons; see why.h.
#include "cli/why.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/run_json.h"
#include "cli/status_line.h"
#include "cli/text.h"
#include "cli/tree.h"

namespace beamline::cli {
namespace {

using google::protobuf::RepeatedPtrField;
using Lines = std::vector<std::string>;

constexpr int kPathsMax = 1000;  // of items' steps, in lists for people

// "`draft/write`"
std::string Ticked(std::string_view text) { return absl::StrCat("`", Printable(text), "`"); }

std::string Ago(const google::protobuf::Timestamp& time, absl::Time now) {
  return ShortDuration(now - ToTime(time)) + " ago";
}

// The flow's step behind a path: "enrich[17]/load" is the child `load` of `enrich`.
const flowspec::Step* FlowStepAt(const flowspec::Flow* flow, std::string_view path) {
  const flowspec::Step* found = nullptr;
  int32_t parent = -1;
  while (flow != nullptr && !path.empty()) {
    std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    std::string_view id = segment.substr(0, segment.find('['));
    auto at = std::find_if(flow->steps.begin(), flow->steps.end(), [&](const flowspec::Step& step) {
      return step.id == id && step.parent == parent;
    });
    if (at == flow->steps.end()) return nullptr;
    found = &*at;
    parent = static_cast<int32_t>(at - flow->steps.begin());
  }
  return found;
}

const RepeatedPtrField<v1::Step>* SiblingsOf(const v1::Run& run, std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return &run.steps();
  const std::string_view above = path.substr(0, slash);
  if (const v1::Item* item = FindItem(run, above)) return &item->steps();
  const v1::Step* step = FindStep(run, above);
  return step == nullptr ? nullptr : &step->steps();
}

// As the engine decides it: a failure that `on_error: continue` tolerates satisfies every edge.
bool IsMet(flowspec::When when, v1::Status status, bool tolerated) {
  switch (when) {
    case flowspec::When::kSuccess:
      return status == v1::STATUS_SUCCEEDED || (tolerated && status == v1::STATUS_FAILED);
    case flowspec::When::kFailure:
      return status == v1::STATUS_FAILED;
    case flowspec::When::kDone:
      return proto::IsTerminal(status);
  }
  return false;
}

const char* WantWord(flowspec::When when) {
  switch (when) {
    case flowspec::When::kSuccess:
      return " to succeed";
    case flowspec::When::kFailure:
      return " to fail";
    case flowspec::When::kDone:
      return " to end";
  }
  return "";
}

// One line for each edge: what it wants and what it got.
void AddEdges(const v1::Run& run, const flowspec::Flow* flow, std::string_view path,
              const v1::Step& step, Lines* lines) {
  const RepeatedPtrField<v1::Step>* siblings = SiblingsOf(run, path);
  const flowspec::Step* spec = FlowStepAt(flow, path);
  if (siblings == nullptr) return;
  for (const std::string& need : step.needs()) {
    auto sibling = std::find_if(siblings->begin(), siblings->end(),
                                [&](const v1::Step& s) { return s.id() == need; });
    if (sibling == siblings->end()) continue;
    flowspec::When when = flowspec::When::kSuccess;
    bool implied = false, tolerated = false;
    if (spec != nullptr) {
      for (const flowspec::Need& edge : spec->needs) {
        const flowspec::Step& needed = flow->steps[static_cast<size_t>(edge.step)];
        if (needed.id != need) continue;
        tolerated = needed.on_error == flowspec::OnError::kContinue;
        when = edge.when;
        implied = edge.implied;
      }
    }
    const v1::Status status = sibling->status();
    const char* verdict = IsMet(when, status, tolerated) ? "met"
                          : proto::IsTerminal(status)    ? "not met"
                                                         : "still open";
    lines->push_back(absl::StrCat("it needs ", Ticked(need), WantWord(when), ": ", verdict, ", ",
                                  Ticked(need), " is ", proto::StatusWord(status),
                                  implied ? "  (by the order of steps, or by a reference)" : ""));
  }
}

// A handler that has not begun.
void AddSection(const v1::Run& run, const v1::Step& step, Lines* lines) {
  const bool over = proto::IsTerminal(run.status());
  if (step.section() == v1::SECTION_ON_FAILURE) {
    lines->push_back(over ? "it is in `on_failure`, and the run did not fail"
                          : "it is in `on_failure`: it runs once the run has failed");
  } else if (step.section() == v1::SECTION_FINALLY && !over) {
    lines->push_back("it is in `finally`: it runs once all steps are over");
  }
}

void AddCondition(const flowspec::Flow* flow, std::string_view path, v1::Status status,
                  Lines* lines) {
  const flowspec::Step* spec = FlowStepAt(flow, path);
  if (spec == nullptr || spec->condition < 0) return;
  const std::string& source = flow->expressions[static_cast<size_t>(spec->condition)].source;
  lines->push_back(
      absl::StrCat("its condition is ", Ticked(source),
                   status == v1::STATUS_PENDING ? ", looked at once the edges are met" : ""));
}

// What the step's cache held, or why it held nothing.
template <typename T>
void AddCache(const T& node, Lines* lines) {
  if (!node.cached_from().empty()) lines->push_back(Printable(node.reason()));
  if (node.attempts().empty() || node.attempts(0).cache_miss().empty()) return;
  lines->push_back("it was not taken from the cache: " + Printable(node.attempts(0).cache_miss()));
}

// "run 4k7q2m, step `load`, has": who has the turn that is waited for; "another run has" where the
// daemon does not say.
std::string HoldersText(const v1::TurnWait* wait) {
  if (wait == nullptr || wait->holders().empty()) return "another run has";
  constexpr int kShown = 3;
  std::vector<std::string> names;
  for (int i = 0; i < std::min(wait->holders_size(), kShown); ++i) {
    const v1::TurnHolder& holder = wait->holders(i);
    names.push_back(absl::StrCat("run ", ShortId(holder.run_id()),
                                 holder.path().empty() ? "" : " in " + Ticked(holder.path())));
  }
  const int more = wait->holders_size() - kShown;
  return absl::StrCat(absl::StrJoin(names, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "",
                      wait->holders_size() == 1 ? " has" : " have");
}

// "waits for its turn: run 4k7q2m has the concurrency key `deploy/main`, and 2 wait before it"
std::string TurnText(const std::string& key, const v1::TurnWait* wait) {
  const int ahead = wait == nullptr ? 0 : wait->ahead();
  return absl::StrCat(
      "waits for its turn: ", HoldersText(wait), " the concurrency key ", Ticked(key),
      ahead == 0 ? ""
                 : absl::StrCat(", and ", ahead, ahead == 1 ? " waits" : " wait", " before it"));
}

const v1::TurnWait* TurnAt(const Turns& turns, std::string_view path) {
  const auto at = std::find_if(turns.begin(), turns.end(),
                               [&](const v1::TurnWait& wait) { return wait.path() == path; });
  return at == turns.end() ? nullptr : &*at;
}

// Whose turn it may be.
void AddQueue(const v1::Run& run, const flowspec::Flow* flow, const Turns& turns,
              std::string_view path, Lines* lines) {
  if (run.status() == v1::STATUS_PENDING) {
    lines->push_back(absl::StrCat("the run ", TurnText(run.concurrency_key(), TurnAt(turns, ""))));
    return;
  }
  if (const v1::TurnWait* wait = TurnAt(turns, path)) {
    lines->push_back(absl::StrCat("it ", TurnText(wait->key(), wait)));
    return;
  }
  const flowspec::Step* spec = FlowStepAt(flow, path);
  if (proto::IsTerminal(run.status()) || spec == nullptr || !spec->concurrency) return;
  lines->push_back(absl::StrCat("its `concurrency` lets ", spec->concurrency->limit,
                                " with the same key run at once; it takes its turn once its edges "
                                "are met"));
}

template <typename T>
void AddAttempts(const T& node, absl::Time now, Lines* lines) {
  for (const v1::Attempt& attempt : node.attempts()) {
    std::string line = absl::StrCat("attempt ", attempt.n(), ": ");
    if (!attempt.has_finished_at()) {
      absl::StrAppend(&line, "running for ", ShortDuration(now - ToTime(attempt.started_at())));
    } else {
      absl::StrAppend(
          &line,
          attempt.outcome() == v1::OUTCOME_UNKNOWN ? "nobody knows how it came out"
                                                   : proto::StatusWord(attempt.status()),
          " after ", ShortDuration(ToTime(attempt.finished_at()) - ToTime(attempt.started_at())));
      if (attempt.has_failure()) absl::StrAppend(&line, ", ", FailureText(attempt.failure()));
    }
    lines->push_back(std::move(line));
  }
  if (node.has_retry_at()) {
    const absl::Duration left = ToTime(node.retry_at()) - now;
    lines->push_back(left > absl::ZeroDuration()
                         ? absl::StrCat("the next attempt starts in ", ShortDuration(left))
                         : "the next attempt is due");
  }
  // Worth knowing where something was, or will be, done again.
  const bool repeats =
      node.attempts_size() > 1 || node.has_retry_at() || node.status() == v1::STATUS_PARKED;
  if (repeats && !node.attempts().empty() && !node.attempts(0).idempotency_key().empty()) {
    lines->push_back(absl::StrCat("every attempt carries the idempotency key ",
                                  Ticked(node.attempts(0).idempotency_key())));
  }
}

// The first sentence.
template <typename T>
std::string Answer(const T& node, const std::string& name, const std::string& run_id,
                   absl::Time now) {
  const std::string reason = Printable(node.reason());
  switch (node.status()) {
    case v1::STATUS_PENDING:
      return absl::StrCat(name, " has not started");
    case v1::STATUS_RUNNING:
    case v1::STATUS_WAITING:
      if (node.has_retry_at()) {
        return absl::StrCat(name, " has failed ", Count(node.attempts_size(), "time"),
                            " and waits for its next attempt");
      }
      if (node.status() == v1::STATUS_WAITING) {
        if (node.task() != 0) {
          return absl::StrCat(name, " waits for people: ", WaitText(node, run_id, now));
        }
        return absl::StrCat(name, " ", node.reason().starts_with("held") ? "is " : "",
                            WaitText(node, run_id, now));
      }
      return absl::StrCat(name, " is running",
                          node.has_started_at() ? ", started " + Ago(node.started_at(), now) : "");
    case v1::STATUS_SUCCEEDED:
      // What a person, or another run, has done; a cache speaks for itself below.
      return absl::StrCat(name, " has succeeded",
                          reason.empty() || !node.cached_from().empty() ? "" : ": " + reason);
    case v1::STATUS_FAILED:
      return absl::StrCat(name, " has failed: ", FailureText(node.failure()));
    case v1::STATUS_SKIPPED:
      return absl::StrCat(name, " was skipped", reason.empty() ? "" : ": ", reason);
    case v1::STATUS_CANCELLED:
      return absl::StrCat(name, " was cancelled", reason.empty() ? "" : ": ", reason);
    case v1::STATUS_PARKED:
      return absl::StrCat(name, " is parked and waits for a person", reason.empty() ? "" : ": ",
                          reason);
    default:
      return absl::StrCat(name, " is ", proto::StatusWord(node.status()));
  }
}

// Calls `each` with every step and the steps of items; stops after kPathsMax.
void ForEachStep(const RepeatedPtrField<v1::Step>& steps, int* left,
                 const std::function<void(const v1::Step&)>& each) {
  for (const v1::Step& step : steps) {
    if ((*left)-- <= 0) return;
    each(step);
    ForEachStep(step.steps(), left, each);
    for (const v1::Item& item : step.items()) ForEachStep(item.steps(), left, each);
  }
}

// Items that failed or are parked, a few of them.
void AddItems(const v1::Step& step, Lines* lines) {
  constexpr int kShown = 5;
  int shown = 0, more = 0;
  for (const v1::Item& item : step.items()) {
    if (item.status() != v1::STATUS_FAILED && item.status() != v1::STATUS_PARKED) continue;
    if (++shown > kShown) {
      ++more;
      continue;
    }
    lines->push_back(absl::StrCat(
        "item ", Ticked(item.key()), " (", step.path(), "[", item.index(), "]) ",
        item.status() == v1::STATUS_FAILED ? "failed: " + FailureText(item.failure())
                                           : "is parked: " + Printable(item.reason())));
  }
  if (more > 0) lines->push_back(absl::StrCat("and ", more, " more items"));
}

}  // namespace

std::vector<std::string> ExplainStep(const v1::Run& run, const flowspec::Flow* flow,
                                     std::string_view path, absl::Time now, const Turns& turns) {
  Lines lines;
  if (const v1::Item* item = FindItem(run, path)) {
    std::string name = Ticked(path);
    if (!std::string_view(path).ends_with(absl::StrCat("[", item->key(), "]"))) {
      absl::StrAppend(&name, " (", Printable(item->key()), ")");
    }
    lines.push_back(Answer(*item, name, run.id(), now));
    AddCache(*item, &lines);
    if (!item->has_started_at()) AddQueue(run, flow, turns, path, &lines);
    AddAttempts(*item, now, &lines);
    return lines;
  }
  const v1::Step* step = FindStep(run, path);
  if (step == nullptr) return lines;
  lines.push_back(Answer(*step, Ticked(path), run.id(), now));
  AddCache(*step, &lines);
  const bool began = step->has_started_at();
  if (!began) AddEdges(run, flow, path, *step, &lines);
  if (!began) AddSection(run, *step, &lines);
  if (!began) AddCondition(flow, path, step->status(), &lines);
  if (!began) AddQueue(run, flow, turns, path, &lines);
  if (run.has_stop() && !proto::IsTerminal(step->status())) {
    lines.push_back(absl::StrCat("the run is being stopped",
                                 run.stop().message().empty() ? "" : ": ",
                                 Printable(run.stop().message())));
  }
  AddAttempts(*step, now, &lines);
  AddItems(*step, &lines);
  return lines;
}

std::vector<std::string> ExplainRun(const v1::Run& run, absl::Time now, const Turns& turns) {
  std::string line = absl::StrCat("the run ", ShortId(run.id()), " of ", Ticked(run.flow()), " ");
  switch (run.status()) {
    case v1::STATUS_SUCCEEDED:
      absl::StrAppend(&line, "has succeeded");
      break;
    case v1::STATUS_FAILED:
      absl::StrAppend(&line, "has failed: ", FailureText(run.failure()));
      break;
    case v1::STATUS_CANCELLED:
      absl::StrAppend(&line, "was cancelled");
      break;
    case v1::STATUS_WAITING:
      absl::StrAppend(&line, "waits: nothing in it can go on by itself");
      break;
    case v1::STATUS_PAUSED:
      absl::StrAppend(&line, "is paused: nothing of it starts until `beamline resume ",
                      ShortId(run.id()), "`");
      break;
    case v1::STATUS_PENDING:
      absl::StrAppend(&line, TurnText(run.concurrency_key(), TurnAt(turns, "")));
      break;
    default:
      absl::StrAppend(&line, "is running, started ", Ago(run.started_at(), now));
  }
  if (run.has_stop()) {
    absl::StrAppend(&line, "; it is being stopped", run.stop().message().empty() ? "" : ": ",
                    Printable(run.stop().message()));
  }
  return {line};
}

std::vector<std::string> NotableSteps(const v1::Run& run) {
  const auto rank = [](const v1::Step& step) {
    if (step.status() == v1::STATUS_PARKED || step.status() == v1::STATUS_WAITING) return 0;
    if (step.status() == v1::STATUS_FAILED) return 1;
    if (step.has_retry_at()) return 2;
    return step.status() == v1::STATUS_RUNNING ? 3 : 4;
  };
  std::vector<std::pair<int, std::string>> found;
  int left = kPathsMax;
  ForEachStep(run.steps(), &left, [&](const v1::Step& step) {
    const bool container = !step.steps().empty();
    if (rank(step) < 4 && !container) found.emplace_back(rank(step), step.path());
  });
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Lines paths;
  for (auto& [r, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::string PathOfStep(const v1::Run& run, std::string_view name) {
  if (FindStep(run, name) != nullptr) return std::string(name);
  std::string found;
  int matches = 0;
  int left = kPathsMax;
  ForEachStep(run.steps(), &left, [&](const v1::Step& step) {
    if (step.id() != name) return;
    found = step.path();
    ++matches;
  });
  return matches == 1 ? found : "";
}

std::vector<std::string> AllPaths(const v1::Run& run) {
  Lines paths;
  int left = kPathsMax;
  ForEachStep(run.steps(), &left, [&](const v1::Step& step) { paths.push_back(step.path()); });
  return paths;
}

}  // namespace beamline::cli
