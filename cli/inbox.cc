// `beamline inbox` and `inbox delegate`.
#include "cli/inbox.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/verbs.h"
#include "cli/watch.h"

namespace beamline::cli {
namespace {

constexpr int kLimitMax = 10'000;
constexpr int kPageMax = 1000;

struct Listed {
  std::vector<v1::TaskSummary> tasks;
  int64_t total = 0;  // 0: not counted
};

// Pages until the limit is reached.
absl::StatusOr<Listed> Fetch(Client& client, bool mine, int limit) {
  v1::ListTasksRequest request;
  request.set_mine(mine);
  Listed listed;
  do {
    request.set_page_size(std::min(limit - static_cast<int>(listed.tasks.size()), kPageMax));
    auto page = client.ListTasks(request);
    if (!page.ok()) return page.status();
    listed.total = page->total_size();
    for (v1::TaskSummary& task : *page->mutable_tasks()) listed.tasks.push_back(std::move(task));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && static_cast<int>(listed.tasks.size()) < limit);
  return listed;
}

Table TableOf(const std::vector<v1::TaskSummary>& tasks) {
  const absl::Time now = absl::Now();
  Table table({{.title = "TASK"},
               {.title = "FLOW", .shrink = true},
               {.title = "ASKS", .shrink = true},
               {.title = "ROUND"},
               {.title = "VOTES"},
               {.title = "FROM", .shrink = true},
               {.title = "AGE", .right = true},
               {.title = "EXPIRES", .right = true}});
  for (const v1::TaskSummary& task : tasks) {
    std::string expires = "-";
    Ink ink = Ink::kDim;
    if (task.has_until()) {
      const absl::Duration left = ToTime(task.until()) - now;
      expires = left > absl::ZeroDuration() ? ShortDuration(left) : "now";
      ink = left < absl::Hours(1) ? Ink::kRed : Ink::kPlain;
    }
    if (task.escalated()) expires.insert(0, "! ");
    table.Add({{NameOf(task.task()), Ink::kBold},
               {Printable(task.flow())},
               {Printable(task.title())},
               {RoundText(task)},
               {absl::StrCat(task.approvals(), "/", task.quorum())},
               {Printable(task.initiator())},
               {ShortDuration(std::max(absl::ZeroDuration(), now - ToTime(task.opened_at())))},
               {expires, ink}});
  }
  return table;
}

std::string JsonOf(const std::vector<v1::TaskSummary>& tasks) {
  std::string json = "[";
  for (const v1::TaskSummary& task : tasks) {
    absl::StrAppend(&json, json.size() > 1 ? "," : "", TaskSummaryJson(task));
  }
  return json + "]";
}

std::string WaitingText(const Listed& listed, bool mine, int limit) {
  const auto shown = static_cast<int64_t>(listed.tasks.size());
  if (listed.total > shown) {
    return absl::StrCat(listed.total, " wait, the oldest ", shown, " are shown (--limit)");
  }
  const bool more = mine && shown >= limit;
  return absl::StrCat(Count(shown, "task"), more ? " and perhaps more" : "",
                      shown == 1 ? " waits" : " wait");
}

}  // namespace

std::string NameOf(uint64_t task) { return absl::StrCat("t", task); }

const char* StateWord(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_OPEN:
      return "open";
    case v1::TASK_STATE_REVISING:
      return "revising";
    case v1::TASK_STATE_APPROVED:
      return "approved";
    case v1::TASK_STATE_REJECTED:
      return "rejected";
    case v1::TASK_STATE_EXPIRED:
      return "expired";
    case v1::TASK_STATE_CANCELLED:
      return "cancelled";
    default:
      return "unknown";
  }
}

std::string RoundText(const v1::TaskSummary& task) {
  return task.max_rounds() > 0 ? absl::StrCat(task.round(), "/", task.max_rounds())
                               : absl::StrCat(task.round());
}

std::string TaskSummaryJson(const v1::TaskSummary& task) {
  return absl::StrCat(
      "{\"task\":", QuoteJson(NameOf(task.task())),
      ",\"state\":", QuoteJson(StateWord(task.state())), ",\"run\":", QuoteJson(task.run_id()),
      ",\"flow\":", QuoteJson(task.flow()), ",\"path\":", QuoteJson(task.path()),
      ",\"title\":", QuoteJson(task.title()), ",\"round\":", task.round(),
      ",\"max_rounds\":", task.max_rounds(), ",\"quorum\":", task.quorum(),
      ",\"approvals\":", task.approvals(), ",\"from\":", QuoteJson(task.initiator()),
      ",\"opened_at\":", QuoteJson(TimeText(task.opened_at())),
      task.has_until() ? absl::StrCat(",\"until\":", QuoteJson(TimeText(task.until()))) : "",
      ",\"escalated\":", task.escalated() ? "true" : "false",
      ",\"digest\":", QuoteJson(task.digest()), "}");
}

std::optional<NamedTask> NameTask(const Arguments& arguments, const Context& context, int* code) {
  const std::string& name = arguments.Get("TASK");
  uint64_t number = 0;
  const absl::string_view digits =
      absl::string_view(name).substr(!name.empty() && name[0] == 't' ? 1 : 0);
  if (!absl::SimpleAtoi(digits, &number) || number == 0) {
    *code = Fail(context, kExitUsage, absl::StrCat("`", Printable(name), "` is no task"),
                 "tasks are called t1, t2, …: beamline inbox");
    return std::nullopt;
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) {
    *code = FailWith(context, client.status());
    return std::nullopt;
  }
  auto response = (*client)->GetTask(number);
  if (!response.ok()) {
    *code = FailWith(context, response.status());
    return std::nullopt;
  }
  return NamedTask{*std::move(client), std::move(*response->mutable_task()),
                   std::move(*response->mutable_flow_source())};
}

int Inbox(const Arguments& arguments, Context& context) {
  int limit = 0;
  if (!absl::SimpleAtoi(arguments.Get("limit"), &limit) || limit < 1 || limit > kLimitMax) {
    return Fail(context, kExitUsage, absl::StrCat("--limit is a number from 1 to ", kLimitMax));
  }
  const bool watch = arguments.On("watch"), mine = arguments.On("mine");
  if (watch && (!context.out.tty || context.wants_data())) {
    return Fail(context, kExitUsage, "--watch needs a terminal and text");
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  if (watch) {
    return WatchTable(context, "nothing waits for anybody", [&]() -> absl::StatusOr<Table> {
      auto listed = Fetch(**client, mine, limit);
      if (!listed.ok()) return listed.status();
      return TableOf(listed->tasks);
    });
  }
  auto listed = Fetch(**client, mine, limit);
  if (!listed.ok()) return FailWith(context, listed.status());
  if (context.wants_data()) return PrintData(context, JsonOf(listed->tasks));
  if (listed->tasks.empty()) {
    Hint(context, mine ? "nothing waits for you\n→ beamline inbox" : "nothing waits for anybody");
    return kExitOk;
  }
  TableOf(listed->tasks).Print(context);
  const std::string first = NameOf(listed->tasks[0].task());
  Hint(context,
       absl::StrCat(WaitingText(*listed, mine, limit), "\n→ beamline review ", first, " · approve ",
                    first, " · request-changes ", first, " --comment \"…\""));
  return kExitOk;
}

int InboxDelegate(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  std::optional<NamedTask> named = NameTask(arguments, context, &code);
  if (!named) return code;
  std::string person = arguments.Get("PERSON");
  if (person.rfind("user:", 0) != 0) person = absl::StrCat("user:", person);
  v1::DelegateTaskRequest request;
  request.set_request_id(NewRequestId());
  request.set_task(named->task.summary().task());
  request.set_to(person);
  if (absl::Status status = named->client->DelegateTask(request); !status.ok()) {
    return FailWith(context, status);
  }
  Hint(context, absl::StrCat(Printable(person.substr(5)), " decides about ", NameOf(request.task()),
                             " in your place\n→ beamline inbox"));
  return kExitOk;
}

}  // namespace beamline::cli
