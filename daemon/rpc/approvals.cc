// Lists come from the store's table, a task from its run's log, decisions from the engine.
#include "daemon/rpc/approvals.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/codec/event_codec.h"
#include "daemon/codec/utf8.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/page.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/voter.h"
#include "daemon/rpc/wire_time.h"
#include "daemon/run/approval.h"
#include "daemon/run/task.h"
#include "flowspec/json_text.h"
#include "proto/usage_sum.h"

namespace beamline::rpc {
namespace {

constexpr size_t kPageBytes = 1 << 20;
constexpr size_t kRequestIdBytesMax = 256, kNameBytesMax = 256;

v1::TaskState ToWire(ports::TaskState state) {
  switch (state) {
    case ports::TaskState::kOpen:
      return v1::TASK_STATE_OPEN;
    case ports::TaskState::kRevising:
      return v1::TASK_STATE_REVISING;
    case ports::TaskState::kApproved:
      return v1::TASK_STATE_APPROVED;
    case ports::TaskState::kRejected:
      return v1::TASK_STATE_REJECTED;
    case ports::TaskState::kExpired:
      return v1::TASK_STATE_EXPIRED;
    case ports::TaskState::kCancelled:
      return v1::TASK_STATE_CANCELLED;
  }
  return v1::TASK_STATE_UNSPECIFIED;
}

std::optional<run::Verdict> FromWire(v1::Verdict verdict) {
  switch (verdict) {
    case v1::VERDICT_APPROVE:
      return run::Verdict::kApprove;
    case v1::VERDICT_REJECT:
      return run::Verdict::kReject;
    case v1::VERDICT_REQUEST_CHANGES:
      return run::Verdict::kRequestChanges;
    case v1::VERDICT_RESPOND:
      return run::Verdict::kRespond;
    default:
      return std::nullopt;
  }
}

void Summarize(const ports::TaskRow& row, v1::TaskSummary* wire) {
  wire->set_task(row.task);
  wire->set_state(ToWire(row.state));
  wire->set_run_id(row.run.ToString());
  wire->set_flow(row.flow_name);
  wire->set_path(row.path);
  wire->set_title(row.title);
  wire->set_round(row.round);
  wire->set_max_rounds(row.max_rounds);
  wire->set_quorum(row.quorum);
  wire->set_approvals(row.approvals);
  wire->set_initiator(row.initiator);
  SetTime(row.opened_at, wire->mutable_opened_at());
  if (row.until != absl::InfiniteFuture()) SetTime(row.until, wire->mutable_until());
  wire->set_escalated(row.escalated);
  wire->set_digest(row.digest);
}

absl::Status TaskNotFound(uint64_t task) {
  const std::string name = absl::StrCat("t", task);
  return Refusal(Reason::kTaskNotFound, absl::StrCat("there is no task ", name))
      .With("task", name)
      .Resource("task", name);
}

absl::StatusOr<ports::TaskRow> FindTask(const Backend& backend, uint64_t task) {
  absl::StatusOr<ports::TaskRow> row = backend.tasks.GetTask(kTenant, task);
  if (absl::IsNotFound(row.status())) return TaskNotFound(task);
  return row;
}

absl::Status List(const Backend& backend, const Caller& caller, const v1::ListTasksRequest& request,
                  v1::ListTasksResponse* response) {
  ports::TaskQuery query{.tenant = kTenant};
  const absl::StatusOr<int> size = PageSize(request.page_size());
  if (!size.ok()) return size.status();
  query.limit = *size + 1;  // one more tells whether there is more
  const absl::StatusOr<std::string> cursor = Cursor(request.page_token());
  if (!cursor.ok()) return cursor.status();
  if (!cursor->empty() && !absl::SimpleAtoi(*cursor, &query.after)) return InvalidPageToken();
  if (request.mine()) query.voters = VoterOf(caller, backend.groups).may_as;
  auto rows = backend.tasks.ListTasks(query);
  if (!rows.ok()) return rows.status();
  if (!request.mine()) {
    const absl::StatusOr<uint64_t> total = backend.tasks.CountTasks(kTenant);
    if (!total.ok()) return total.status();
    response->set_total_size(static_cast<int64_t>(*total));
  }
  const bool more = rows->size() > static_cast<size_t>(*size);
  if (more) rows->resize(static_cast<size_t>(*size));
  for (const ports::TaskRow& row : *rows) Summarize(row, response->add_tasks());
  if (more) response->set_next_page_token(PageToken(absl::StrCat(rows->back().task)));
  return absl::OkStatus();
}

// The facts of a task, from the log of its run.
struct History {
  run::Task task;
  std::optional<run::TaskOpened> before;  // of the round before
  std::vector<std::pair<run::Event, run::TaskDecided>> decisions;
  std::vector<std::pair<run::Event, run::TaskDelegated>> delegations;
  v1::Usage usage;  // of the run
};

bool IsAbout(const run::Fact& fact, uint64_t task) {
  return std::visit(
      [&](const auto& f) {
        if constexpr (requires { f.tasks; }) {
          return std::find(f.tasks.begin(), f.tasks.end(), task) != f.tasks.end();
        } else if constexpr (requires { f.task; }) {
          return f.task == task;
        } else {
          return false;
        }
      },
      fact);
}

// In wire form, through the one place that knows how.
v1::ExecutionEvent Wire(run::Event event) {
  v1::ExecutionEvent wire;
  event.seq = std::max<uint64_t>(event.seq, 1);
  codec::ToWire(event, {}, &wire);
  return wire;
}

absl::StatusOr<History> ReadHistory(const Backend& backend, const ports::TaskRow& row) {
  History history;
  uint64_t cursor = 0;
  while (true) {
    auto events = backend.events.Read(row.run, cursor, kPageBytes);
    if (absl::IsNotFound(events.status())) return TaskNotFound(row.task);
    if (!events.ok()) return events.status();
    if (events->empty()) return history;
    for (const run::Event& event : *events) {
      const auto* finished = std::get_if<run::AttemptFinished>(&event.fact);
      if (finished != nullptr && finished->usage != run::Usage()) {
        proto::AddUsage(Wire(event).attempt_finished().usage(), &history.usage);
      }
      if (!IsAbout(event.fact, row.task)) continue;
      if (std::holds_alternative<run::TaskOpened>(event.fact) && history.task.opened_seq > 0) {
        history.before = history.task.asked;
      }
      run::Apply(event, &history.task);
      if (const auto* decided = std::get_if<run::TaskDecided>(&event.fact)) {
        history.decisions.emplace_back(event, *decided);
      } else if (const auto* delegated = std::get_if<run::TaskDelegated>(&event.fact)) {
        history.delegations.emplace_back(event, *delegated);
      }
    }
    cursor = events->back().seq;
  }
}

absl::Status Describe(const Backend& backend, const Caller& caller, uint64_t number,
                      v1::GetTaskResponse* response) {
  const absl::StatusOr<ports::TaskRow> row = FindTask(backend, number);
  if (!row.ok()) return row.status();
  const absl::StatusOr<History> history = ReadHistory(backend, *row);
  if (!history.ok()) return history.status();
  const run::Task& task = history->task;
  const run::Voter voter = VoterOf(caller, backend.groups);
  v1::Task* wire = response->mutable_task();
  Summarize(*row, wire->mutable_summary());
  v1::ExecutionEvent opened = Wire({task.opened_seq, task.opened_at, "", task.asked});
  v1::TaskOpened& asked = *opened.mutable_task_opened();
  if (asked.has_show()) wire->mutable_show()->Swap(asked.mutable_show());
  if (history->before) {
    v1::ExecutionEvent before = Wire({1, task.opened_at, "", *history->before});
    wire->mutable_show_before()->Swap(before.mutable_task_opened()->mutable_show());
  }
  wire->set_form(asked.form());
  if (!task.payload.absent()) wire->mutable_payload()->set_json(task.payload.json());
  *wire->mutable_approvers() = asked.approvers();
  wire->set_self_approval(asked.self_approval());
  *wire->mutable_escalate_to() = asked.escalate_to();
  wire->set_rerun(asked.rerun());
  for (const auto& [event, fact] : history->decisions) {
    v1::ExecutionEvent told = Wire(event);
    v1::TaskDecided& decided = *told.mutable_task_decided();
    v1::TaskDecision* decision = wire->add_decisions();
    decision->set_round(fact.round);
    decision->set_verdict(decided.verdict());
    decision->set_comment(decided.comment());
    if (decided.has_payload()) decision->mutable_payload()->Swap(decided.mutable_payload());
    decision->set_voter(decided.voter());
    decision->set_actor(told.actor());
    *decision->mutable_time() = told.time();
    decision->set_digest(decided.shown());
  }
  for (const auto& [event, fact] : history->delegations) {
    v1::TaskDelegation* delegation = wire->add_delegations();
    delegation->set_voter(fact.voter);
    delegation->set_to(fact.to);
    SetTime(event.time, delegation->mutable_time());
  }
  wire->set_refusal(std::string(run::MayDecide(task, voter).message()));
  wire->set_own(run::IsInitiator(task, voter));
  if (history->usage.requests() > 0) *wire->mutable_usage() = history->usage;
  if (const auto run = backend.events.GetRun(row->run); run.ok()) {
    if (auto flow = backend.events.GetFlow(run->flow_digest); flow.ok()) {
      response->set_flow_source(std::move(flow->source));
    }
  }
  return absl::OkStatus();
}

// What the core says about a decision, in the catalogue's words.
absl::Status Refuse(const absl::Status& status, uint64_t task) {
  if (status.ok() || absl::IsAlreadyExists(status)) return absl::OkStatus();
  const std::string name = absl::StrCat("t", task);
  const std::string message(status.message());
  const auto refusal = [&](Reason reason) { return Refusal(reason, message).With("task", name); };
  switch (status.code()) {
    case absl::StatusCode::kAborted:
      return refusal(Reason::kTaskStale);
    case absl::StatusCode::kFailedPrecondition:
      return refusal(Reason::kTaskDecided).Precondition("STATE", name, message);
    case absl::StatusCode::kPermissionDenied:
      return refusal(Reason::kNotAnApprover);
    case absl::StatusCode::kInvalidArgument:
      return refusal(Reason::kDecisionInvalid).Violation("payload", message);
    case absl::StatusCode::kOutOfRange:
      return refusal(Reason::kRequestIdReused);
    case absl::StatusCode::kUnimplemented:
      return refusal(Reason::kChangesUnavailable).Precondition("FLOW", name, message);
    case absl::StatusCode::kUnavailable:
      return refusal(Reason::kStepsBusy).Precondition("STEPS", name, message);
    default:
      return status;
  }
}

absl::Status CheckDecision(const v1::DecideTaskRequest& request) {
  if (request.request_id().size() > kRequestIdBytesMax) {
    return TooLarge("request_id", request.request_id().size(), kRequestIdBytesMax);
  }
  if (!FromWire(request.verdict()))
    return InvalidField("verdict", "is none that a person can give");
  if (request.digest().size() != 64) {
    return InvalidField("digest", "must be that of what was shown (Task.summary.digest)");
  }
  if (request.round() < 0) return InvalidField("round", "must not be negative");
  if (request.comment().size() > run::kCommentBytesMax) {
    return TooLarge("comment", request.comment().size(), run::kCommentBytesMax);
  }
  if (request.payload().size() > run::kSignalBytesMax) {
    return TooLarge("payload", request.payload().size(), run::kSignalBytesMax);
  }
  const bool json = request.payload().empty() || (flowspec::CheckJson(request.payload()).ok() &&
                                                  codec::IsUtf8(request.payload()));
  return json ? absl::OkStatus() : InvalidField("payload", "not one JSON value in UTF-8");
}

run::DecideTask WishOf(const v1::DecideTaskRequest& request, const ports::TaskRow& row,
                       run::Voter voter) {
  run::DecideTask wish{.path = row.path,
                       .task = row.task,
                       .verdict = *FromWire(request.verdict()),
                       .digest = request.digest(),
                       .round = request.round(),
                       .comment = request.comment(),
                       .payload = run::Value(),
                       .request_id = request.request_id(),
                       .allow_self = request.allow_self(),
                       .voter = std::move(voter)};
  if (!request.payload().empty()) wish.payload = run::Value::Json(request.payload());
  return wish;
}

// A task that the engine does not know is closed; what is said to it now is compared with its log.
absl::Status AnswerFromLog(const Backend& backend, const ports::TaskRow& row,
                           const run::DecideTask& wish) {
  const absl::StatusOr<History> history = ReadHistory(backend, row);
  if (!history.ok()) return history.status();
  return run::AnswerClosed(history->task, wish);
}

bool IsGone(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

void Respond(const Backend& backend, uint64_t task, v1::DecideTaskResponse* response,
             const Done& done) {
  const absl::StatusOr<ports::TaskRow> row = FindTask(backend, task);
  if (!row.ok()) return done(row.status());
  response->set_state(ToWire(row->state));
  response->set_approvals(row->approvals);
  response->set_quorum(row->quorum);
  response->set_run_id(row->run.ToString());
  done(absl::OkStatus());
}

}  // namespace

void ListTasks(const Backend& backend, const Caller& caller, const v1::ListTasksRequest& request,
               v1::ListTasksResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    done(List(backend, caller, request, response));
  });
}

void GetTask(const Backend& backend, const Caller& caller, const v1::GetTaskRequest& request,
             v1::GetTaskResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    done(Describe(backend, caller, request.task(), response));
  });
}

void DecideTask(const Backend& backend, const Caller& caller, const v1::DecideTaskRequest& request,
                v1::DecideTaskResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    if (absl::Status checked = CheckDecision(request); !checked.ok()) return done(checked);
    const absl::StatusOr<ports::TaskRow> row = FindTask(backend, request.task());
    if (!row.ok()) return done(row.status());
    run::DecideTask wish = WishOf(request, *row, VoterOf(caller, backend.groups));
    auto decided = [&backend, row = *row, wish, response, done](const absl::Status& status) {
      backend.reads.Do([&backend, row, wish, response, done, status] {
        const absl::Status answer =
            Refuse(IsGone(status) ? AnswerFromLog(backend, row, wish) : status, row.task);
        if (!answer.ok()) return done(answer);
        Respond(backend, row.task, response, done);
      });
    };
    const bool over =
        row->state != ports::TaskState::kOpen && row->state != ports::TaskState::kRevising;
    if (over) return decided(absl::NotFoundError(""));
    backend.engine.Intervene(row->run, caller.actor, std::move(wish), std::move(decided));
  });
}

void DelegateTask(const Backend& backend, const Caller& caller,
                  const v1::DelegateTaskRequest& request, Done done) {
  backend.reads.Do([&backend, caller, &request, done = std::move(done)] {
    if (request.request_id().size() > kRequestIdBytesMax) {
      return done(TooLarge("request_id", request.request_id().size(), kRequestIdBytesMax));
    }
    const std::string& to = request.to();
    const bool printable = std::all_of(to.begin(), to.end(), absl::ascii_isgraph);
    if (!absl::StartsWith(to, "user:") || to.size() < 6 || to.size() > kNameBytesMax ||
        !printable) {
      return done(InvalidField("to", "is user:NAME: a vote is handed to one person"));
    }
    const absl::StatusOr<ports::TaskRow> row = FindTask(backend, request.task());
    if (!row.ok()) return done(row.status());
    run::DelegateTask wish{row->path, row->task, to, request.request_id(),
                           VoterOf(caller, backend.groups)};
    backend.engine.Intervene(
        row->run, caller.actor, std::move(wish),
        [&backend, task = row->task, done](const absl::Status& status) {
          backend.answers.Do([task, done, status] {
            if (absl::IsNotFound(status)) {
              return done(Refuse(absl::FailedPreconditionError(status.message()), task));
            }
            done(Refuse(status, task));
          });
        });
  });
}

}  // namespace beamline::rpc
