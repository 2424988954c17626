// `beamline cancel`, `pause` and `resume`: of one run, or of all that fit.
#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/bulk.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/run_name.h"
#include "cli/run_selection.h"
#include "cli/tree.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr int kRunsMax = 100'000;
// Calls at once: the daemon writes what comes together with one sync.
constexpr size_t kAtOnce = 16;

using SendOne = std::function<absl::Status(Client&, const std::string& run_id)>;

struct Verb {
  BulkWords words;
  std::vector<v1::Status> statuses;  // of the runs that are meant where --status does not say
};

bool IsBulk(const Arguments& arguments) { return arguments.On("all") || HasRunFilter(arguments); }

// Sends one wish per run and keeps the answers. Ends early where the daemon is gone: what was not
// asked for is left without an answer.
std::vector<std::optional<absl::Status>> SendAll(Client& client,
                                                 const std::vector<v1::RunSummary>& runs,
                                                 const SendOne& send) {
  std::vector<std::optional<absl::Status>> answers(runs.size());
  std::atomic<size_t> next{0};
  std::atomic<bool> gone{false};
  const auto work = [&] {
    for (size_t i = next++; i < runs.size() && !gone; i = next++) {
      answers[i] = send(client, runs[i].id());
      if (absl::IsUnavailable(*answers[i])) gone = true;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kAtOnce, runs.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return answers;
}

int Tell(const Context& context, const std::vector<v1::RunSummary>& runs,
         const std::vector<std::optional<absl::Status>>& answers, const BulkWords& words) {
  BulkReport report(context, words);
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!answers[i] || absl::IsUnavailable(*answers[i])) continue;
    if (answers[i]->ok()) {
      report.Done();
    } else {
      report.Refused(absl::StrCat(ShortId(runs[i].id()), "  ", Printable(runs[i].flow())),
                     Printable(DescribeError(*answers[i]).message), ExitCodeFor(*answers[i]));
    }
  }
  for (const auto& answer : answers) {
    if (!answer || !absl::IsUnavailable(*answer)) continue;
    report.Stopped(runs.size());
    return FailWith(context, *answer);
  }
  return report.Tell("beamline runs list");
}

int SteerMany(const Arguments& arguments, Context& context, const Verb& verb, const SendOne& send) {
  if (arguments.Has("RUN") || arguments.Has("step")) {
    return Fail(context, kExitUsage, "name one run, or say --all or --query, not both");
  }
  RunSelection selection;
  selection.limit = kRunsMax;
  int code = kExitOk;
  if (!ReadRunSelection(arguments, context, &selection, &code)) return code;
  if (selection.request.statuses().empty()) {
    for (const v1::Status status : verb.statuses) selection.request.add_statuses(status);
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  const auto selected = FetchRuns(**client, selection);
  if (!selected.ok()) return FailWith(context, selected.status());
  if (selected->cut) Warn(context, CutText(selection));
  const std::vector<v1::RunSummary>& runs = selected->runs;
  if (runs.empty()) {
    Hint(context, "no run fits\n→ beamline runs list");
    return kExitOk;
  }
  const absl::Time now = absl::Now();
  code = ConfirmBulk(context, verb.words, runs.size(), [&](size_t i) {
    return absl::StrCat(ShortId(runs[i].id()), "  ", Printable(runs[i].flow()), "  ",
                        proto::StatusWord(runs[i].status()), "  ",
                        ShortDuration(now - ToTime(runs[i].started_at())), " ago");
  });
  if (code != kExitOk) return code;
  return Tell(context, runs, SendAll(**client, runs, send), verb.words);
}

int PrintStatus(const Context& context, const std::string& id, v1::Status status) {
  return PrintData(context, absl::StrCat("{\"id\":", QuoteJson(id), ",\"status\":",
                                         QuoteJson(proto::StatusWord(status)), "}"));
}

v1::CancelRunRequest CancelOf(const Arguments& arguments, const std::string& id) {
  v1::CancelRunRequest request;
  request.set_request_id(NewRequestId());
  request.set_run_id(id);
  request.set_reason(arguments.Get("reason"));
  request.set_force(arguments.On("force"));
  return request;
}

v1::PauseRunRequest PauseOf(const Arguments& arguments, const std::string& id) {
  v1::PauseRunRequest request;
  request.set_request_id(NewRequestId());
  request.set_run_id(id);
  request.set_reason(arguments.Get("reason"));
  return request;
}

v1::ResumeRunRequest ResumeOf(const Arguments& arguments, const std::string& id) {
  v1::ResumeRunRequest request;
  request.set_request_id(NewRequestId());
  request.set_run_id(id);
  request.set_step(arguments.Get("step"));
  return request;
}

}  // namespace

int Cancel(const Arguments& arguments, Context& context) {
  if (IsBulk(arguments)) {
    return SteerMany(
        arguments, context,
        {{"cancel", "run", arguments.On("force") ? "being killed" : "being cancelled"},
         {v1::STATUS_PENDING, v1::STATUS_RUNNING, v1::STATUS_WAITING, v1::STATUS_PAUSED}},
        [&](Client& client, const std::string& id) {
          return client.CancelRun(CancelOf(arguments, id)).status();
        });
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  const v1::CancelRunRequest request = CancelOf(arguments, named->id);
  auto response = named->client->CancelRun(request);
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) return PrintStatus(context, named->id, response->status());
  const std::string id = ShortId(named->id);
  const bool over = proto::IsTerminal(response->status());
  Hint(
      context,
      absl::StrCat(over ? absl::StrCat(id, " is ", proto::StatusWord(response->status()))
                   : request.force()
                       ? absl::StrCat(id, " is being killed, without on_failure and finally")
                       : absl::StrCat(id, " is stopping: steps are told to end, then finally runs"),
                   "\n→ ", over ? "beamline runs show " : "beamline wait ", id));
  return kExitOk;
}

int PauseCommand(const Arguments& arguments, Context& context) {
  if (IsBulk(arguments)) {
    return SteerMany(arguments, context,
                     {{"pause", "run", "paused"}, {v1::STATUS_RUNNING, v1::STATUS_WAITING}},
                     [&](Client& client, const std::string& id) {
                       return client.PauseRun(PauseOf(arguments, id)).status();
                     });
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  auto response = named->client->PauseRun(PauseOf(arguments, named->id));
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) return PrintStatus(context, named->id, response->status());
  const std::string id = ShortId(named->id);
  Hint(context, absl::StrCat(id,
                             " is paused: nothing of it starts; what runs may end\n→ beamline "
                             "resume ",
                             id, " · beamline cancel ", id));
  return kExitOk;
}

int Resume(const Arguments& arguments, Context& context) {
  if (IsBulk(arguments)) {
    return SteerMany(arguments, context, {{"resume", "run", "going on"}, {v1::STATUS_PAUSED}},
                     [&](Client& client, const std::string& id) {
                       return client.ResumeRun(ResumeOf(arguments, id));
                     });
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  if (absl::Status status = named->client->ResumeRun(ResumeOf(arguments, named->id));
      !status.ok()) {
    return FailWith(context, status);
  }
  const std::string id = ShortId(named->id);
  const std::string& step = arguments.Get("step");
  Hint(context,
       absl::StrCat(step.empty() ? "what was held or paused" : absl::StrCat("`", step, "`"),
                    " goes on\n→ beamline tail ", id, " · beamline wait ", id));
  return kExitOk;
}

}  // namespace beamline::cli
