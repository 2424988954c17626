// `beamline worker list` and `worker drain`.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "beamline/v1/worker.pb.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/verbs.h"
#include "cli/worker_json.h"

namespace beamline::cli {
namespace {

std::string Serves(const v1::Worker& worker) {
  std::vector<std::string> pairs;
  for (const v1::Capability& capability : worker.capabilities()) {
    for (const std::string& task : capability.tasks()) {
      pairs.push_back(absl::StrCat(capability.queue(), "/", task));
    }
  }
  return absl::StrJoin(pairs, " ");
}

std::string StateOf(const v1::Worker& worker) {
  return worker.draining() ? "draining" : worker.silent() ? "silent" : "ready";
}

std::string Quoted(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return absl::StrJoin(texts, ",",
                       [](std::string* out, const std::string& text) { *out += QuoteJson(text); });
}

std::string AttemptJson(const v1::WorkerAttempt& attempt) {
  return absl::StrCat(
      "{\"run\":", QuoteJson(attempt.ref().run_id()), ",\"path\":", QuoteJson(attempt.ref().path()),
      ",\"attempt\":", attempt.ref().attempt(), ",\"lease_epoch\":", attempt.lease_epoch(),
      ",\"assigned_at\":", QuoteJson(TimeText(attempt.assigned_at())),
      attempt.has_fraction() ? absl::StrCat(",\"fraction\":", attempt.fraction()) : "",
      attempt.message().empty() ? "" : absl::StrCat(",\"message\":", QuoteJson(attempt.message())),
      ",\"given_up\":", attempt.given_up() ? "true" : "false", "}");
}

std::string WorkerJson(const v1::Worker& worker) {
  return absl::StrCat(
      "{\"id\":", QuoteJson(worker.id()), ",\"actor\":", QuoteJson(worker.actor()),
      ",\"program\":", QuoteJson(worker.program()), ",\"capabilities\":[",
      absl::StrJoin(worker.capabilities(), ",",
                    [](std::string* out, const v1::Capability& capability) {
                      absl::StrAppend(out, "{\"queue\":", QuoteJson(capability.queue()),
                                      ",\"tasks\":[", Quoted(capability.tasks()), "]}");
                    }),
      "],\"credit\":", worker.credit(), ",\"state\":", QuoteJson(StateOf(worker)),
      ",\"attached_at\":", QuoteJson(TimeText(worker.attached_at())),
      ",\"heard_at\":", QuoteJson(TimeText(worker.heard_at())),
      ",\"assigned_total\":", worker.assigned_total(), ",\"attempts\":[",
      absl::StrJoin(
          worker.attempts(), ",",
          [](std::string* out, const v1::WorkerAttempt& attempt) { *out += AttemptJson(attempt); }),
      "]}");
}

int PrintJson(const Context& context, const v1::ListWorkersResponse& response) {
  return PrintData(context,
                   absl::StrCat("{\"workers\":[",
                                absl::StrJoin(response.workers(), ",",
                                              [](std::string* out, const v1::Worker& worker) {
                                                *out += WorkerJson(worker);
                                              }),
                                "],\"queues\":[",
                                absl::StrJoin(response.queues(), ",",
                                              [](std::string* out, const v1::WorkerQueue& queue) {
                                                *out += QueueJson(queue);
                                              }),
                                "]}"));
}

}  // namespace

std::string QueueJson(const v1::WorkerQueue& queue) {
  return absl::StrCat("{\"queue\":", QuoteJson(queue.queue()),
                      ",\"task\":", QuoteJson(queue.task()), ",\"waiting\":", queue.waiting(),
                      queue.waiting() > 0 ? absl::StrCat(",\"waiting_since\":",
                                                         QuoteJson(TimeText(queue.waiting_since())))
                                          : "",
                      ",\"workers\":", queue.workers(), "}");
}

int WorkerList(const Arguments&, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  auto response = (*client)->ListWorkers();
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) return PrintJson(context, *response);
  Table table({{"WORKER"},
               {"SERVES", false, true},
               {"BUSY", true},
               {"CREDIT", true},
               {"TOTAL", true},
               {"HEARD", true},
               {"STATE"}});
  const absl::Time now = absl::Now();
  for (const v1::Worker& worker : response->workers()) {
    const std::string state = StateOf(worker);
    table.Add({{worker.id(), Ink::kBold},
               {Serves(worker)},
               {absl::StrCat(worker.attempts_size())},
               {absl::StrCat(worker.credit())},
               {absl::StrCat(worker.assigned_total())},
               {ShortDuration(now - ToTime(worker.heard_at()))},
               {state, state == "ready" ? Ink::kGreen : Ink::kYellow}});
  }
  if (!table.empty()) table.Print(context);
  if (table.empty()) Hint(context, "no worker is attached\n→ beamline worker run --help");
  for (const v1::WorkerQueue& queue : response->queues()) {
    if (queue.waiting() == 0) continue;
    const std::string since =
        absl::StrCat(Count(static_cast<long long>(queue.waiting()), "step"), " in queue ",
                     Printable(queue.queue()), " for ", Printable(queue.task()), ", the first for ",
                     ShortDuration(now - ToTime(queue.waiting_since())));
    if (queue.workers() == 0) {
      Warn(context, absl::StrCat("no worker serves it: ", since));
    } else {
      Hint(context, absl::StrCat("waiting: ", since));
    }
  }
  return kExitOk;
}

int WorkerDrain(const Arguments& arguments, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = ConnectToRunning(context);
  if (!client.ok()) return FailWith(context, client.status());
  const std::string& id = arguments.Get("ID");
  if (absl::Status status = (*client)->DrainWorker(id); !status.ok()) {
    return FailWith(context, status);
  }
  Hint(context, absl::StrCat(Printable(id),
                             " is given nothing more, finishes what it has and leaves"
                             "\n→ beamline worker list"));
  return kExitOk;
}

}  // namespace beamline::cli
