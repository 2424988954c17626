// `beamline why`: asks for a run and says why its steps stand as they do.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/output.h"
#include "cli/run_name.h"
#include "cli/status_line.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "cli/why.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

constexpr size_t kStepsShown = 5;

// The answer, and its evidence below it.
void Show(const Context& context, const std::vector<std::string>& lines) {
  for (size_t i = 0; i < lines.size(); ++i) {
    context.out.Write(i == 0 ? absl::StrCat(Paint(context.out.color, Ink::kBold, lines[0]), "\n")
                             : absl::StrCat("  - ", lines[i], "\n"));
  }
}

std::string JsonOf(const std::string& path, const std::vector<std::string>& lines) {
  return absl::StrCat(
      "{\"step\":", QuoteJson(path), ",\"answer\":", QuoteJson(lines.empty() ? "" : lines[0]),
      ",\"evidence\":[",
      absl::StrJoin(lines.begin() + (lines.empty() ? 0 : 1), lines.end(), ",",
                    [](std::string* out, const std::string& line) { *out += QuoteJson(line); }),
      "]}");
}

// Whether some step has this id.
bool HasStep(const v1::Run& run, const std::string& id) {
  const std::vector<std::string> paths = AllPaths(run);
  return std::any_of(paths.begin(), paths.end(),
                     [&](const std::string& path) { return path.ends_with("/" + id); });
}

// Where a running `worker` step is: with a worker, or in a line. Empty for other steps.
std::string WorkerOf(const v1::Run& run, const std::string& path,
                     const v1::ListWorkersResponse& pool) {
  const v1::Step* step = FindStep(run, path);
  if (step == nullptr || step->kind() != "worker" || step->status() != v1::STATUS_RUNNING) {
    return "";
  }
  for (const v1::Worker& worker : pool.workers()) {
    for (const v1::WorkerAttempt& attempt : worker.attempts()) {
      if (attempt.ref().run_id() != run.id() || attempt.ref().path() != path) continue;
      return absl::StrCat("the worker ", Printable(worker.id()), " has it",
                          attempt.message().empty() ? "" : ": ", Printable(attempt.message()));
    }
  }
  std::vector<std::string> unserved;
  for (const v1::WorkerQueue& queue : pool.queues()) {
    if (queue.workers() == 0) {
      unserved.push_back(
          absl::StrCat(Printable(queue.queue()), " (", Printable(queue.task()), ")"));
    }
  }
  return unserved.empty() ? "it waits in line for a worker"
                          : absl::StrCat("it waits for a worker; no worker serves queue ",
                                         absl::StrJoin(unserved, ", "));
}

// The task of the first of these steps that asks people; "" if none does.
std::string TaskOf(const v1::Run& run, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const v1::Item* item = FindItem(run, path);
    const v1::Step* step = FindStep(run, path);
    if (item != nullptr && item->status() == v1::STATUS_WAITING && item->task() != 0) {
      return absl::StrCat("t", item->task());
    }
    if (item == nullptr && step != nullptr && step->status() == v1::STATUS_WAITING &&
        step->task() != 0) {
      return absl::StrCat("t", step->task());
    }
  }
  return "";
}

// The commands that help with what was explained.
std::string NextFor(const v1::Run& run, const std::vector<std::string>& paths) {
  const std::string id = ShortId(run.id());
  for (const std::string& path : paths) {
    const v1::Item* item = FindItem(run, path);
    const v1::Step* step = item == nullptr ? FindStep(run, path) : nullptr;
    const v1::Status status = item != nullptr   ? item->status()
                              : step != nullptr ? step->status()
                                                : v1::STATUS_UNSPECIFIED;
    const bool stuck = status == v1::STATUS_PARKED || status == v1::STATUS_FAILED;
    if (!stuck || (!proto::IsTerminal(run.status()) && status == v1::STATUS_FAILED)) continue;
    return absl::StrCat(
        "→ beamline retry ", id, " --step ", Printable(path), " · beamline skip ", id, " ",
        Printable(path), " --reason …",
        proto::IsTerminal(run.status()) ? " · beamline replay " : " · beamline cancel ", id);
  }
  if (run.status() == v1::STATUS_PAUSED) {
    return absl::StrCat("→ beamline resume ", id, " · beamline cancel ", id);
  }
  return proto::IsTerminal(run.status())
             ? absl::StrCat("→ beamline runs show ", id, " · beamline tail ", id)
             : absl::StrCat("→ beamline tail ", id, " · beamline cancel ", id);
}

}  // namespace

int Why(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  auto response = named->client->GetRun(named->id);
  if (!response.ok()) return FailWith(context, response.status());
  const v1::Run& run = response->run();
  const auto flow =
      flowspec::ParseFlow(response->flow_source(), {.compile_expressions = false}).flow;

  std::vector<std::string> paths;
  if (const std::string& step = arguments.Get("STEP"); !step.empty()) {
    paths.push_back(PathOfStep(run, step));
    if (paths[0].empty()) {
      const std::string near = flowspec::DidYouMean(step, AllPaths(run));
      return Fail(context, kExitNotFound,
                  absl::StrCat("the run has ", HasStep(run, step) ? "several steps" : "no step",
                               " `", Printable(step), "`"),
                  HasStep(run, step) ? "name its path, as in parent/step or many[3]/step"
                  : near.empty() ? absl::StrCat("its steps: ", absl::StrJoin(AllPaths(run), ", "))
                                 : absl::StrCat("did you mean `", near, "`?"));
    }
  } else {
    paths = NotableSteps(run);
    for (const v1::TurnWait& wait : response->turns()) {
      if (!wait.path().empty()) paths.push_back(wait.path());
    }
    if (paths.size() > kStepsShown) paths.resize(kStepsShown);
  }

  const absl::Time now = absl::Now();
  // An older daemon knows no workers.
  const v1::ListWorkersResponse pool =
      named->client->ListWorkers().value_or(v1::ListWorkersResponse());
  const auto explain = [&](const std::string& path) {
    std::vector<std::string> lines = ExplainStep(run, flow.get(), path, now, response->turns());
    if (std::string where = WorkerOf(run, path, pool); !where.empty()) {
      lines.push_back(std::move(where));
    }
    return lines;
  };
  if (context.wants_data()) {
    std::vector<std::string> entries;
    for (const std::string& path : paths) {
      entries.push_back(JsonOf(path, explain(path)));
    }
    return PrintData(context, absl::StrCat("[", absl::StrJoin(entries, ","), "]"));
  }
  if (!arguments.Has("STEP")) Show(context, ExplainRun(run, now, response->turns()));
  for (const std::string& path : paths) Show(context, explain(path));
  const std::string id = ShortId(run.id());
  if (const std::string task = TaskOf(run, paths); !task.empty()) {
    Hint(context, absl::StrCat("→ beamline review ", task, " · beamline approve ", task,
                               " · beamline cancel ", id));
    return kExitOk;
  }
  Hint(context, NextFor(run, paths));
  return kExitOk;
}

}  // namespace beamline::cli
