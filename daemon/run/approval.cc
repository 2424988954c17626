// Votes, vetoes and silence; see approval.h.
#include "daemon/run/approval.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/run/rewind.h"
#include "flowspec/digest.h"
#include "flowspec/expr.h"
#include "flowspec/value_schema.h"

namespace beamline::run {
namespace {

using Facts = absl::StatusOr<std::vector<Fact>>;

std::string NameOf(uint64_t task) { return absl::StrCat("t", task); }

bool IsYes(Verdict verdict) { return verdict == Verdict::kApprove || verdict == Verdict::kRespond; }

bool Holds(const std::vector<std::string>& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

bool Meet(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& one) { return Holds(b, one); });
}

const char* Done(Verdict verdict) {
  switch (verdict) {
    case Verdict::kApprove:
      return "approved it";
    case Verdict::kReject:
      return "rejected it";
    case Verdict::kRequestChanges:
      return "asked for changes";
    case Verdict::kRespond:
      break;
  }
  return "filled it in";
}

bool SameAnswer(const TaskDecided& given, const DecideTask& wish) {
  const bool payload = wish.payload.absent() || wish.payload == given.payload;
  return given.verdict == wish.verdict && payload;
}

// An answer that was given before and comes again, or one that contradicts it. Ok: neither.
absl::Status CheckRepeated(const Task& task, const DecideTask& wish) {
  for (const TaskDecided& given : task.decisions) {
    const bool same = SameAnswer(given, wish);
    if (!wish.request_id.empty() && given.request_id == wish.request_id) {
      if (same && given.voter == wish.voter.name) return absl::AlreadyExistsError("given before");
      return absl::OutOfRangeError("the request id was used for another decision");
    }
    if (given.voter != wish.voter.name || given.shown != wish.digest) continue;
    if (same) return absl::AlreadyExistsError("given before");
    const bool stands = given.round == task.asked.round && given.digest == task.digest;
    if (task.open && stands) {
      return absl::FailedPreconditionError(
          absl::StrCat("you ", Done(given.verdict), " already; a decision is not taken back"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFresh(const Task& task, const DecideTask& wish) {
  if (!task.open) {
    const TaskDecided& last = task.decisions.back();
    return absl::AbortedError(
        absl::StrCat(last.voter, " asked for changes: ", NameOf(task.asked.task),
                     " asks again, as round ", last.round + 1, ", when they are made"));
  }
  const std::string again =
      absl::StrCat("look at it again: beamline review ", NameOf(task.asked.task));
  if (wish.round != 0 && wish.round != task.asked.round) {
    return absl::AbortedError(
        absl::StrCat("this is round ", task.asked.round, ", not ", wish.round, "; ", again));
  }
  if (wish.digest != task.digest) {
    return absl::AbortedError(
        absl::StrCat("what stands to be decided has changed since you saw it; ", again));
  }
  return absl::OkStatus();
}

// The vote was handed on, and did not come back.
bool GaveAway(const Task& task, const Voter& voter) {
  bool away = false;
  for (const TaskDelegated& delegation : task.delegations) {
    if (delegation.voter == voter.name) away = true;
    if (Holds(voter.may_as, delegation.to)) away = false;
  }
  return away;
}

bool IsApprover(const Task& task, const Voter& voter) {
  if (task.asked.approvers.empty() || Meet(voter.may_as, task.asked.approvers)) return true;
  if (task.escalated && Meet(voter.may_as, task.asked.escalate_to)) return true;
  return std::any_of(task.delegations.begin(), task.delegations.end(),
                     [&](const auto& d) { return Holds(voter.may_as, d.to); });
}

absl::Status CheckSelf(const Task& task, const DecideTask& wish) {
  if (!IsInitiator(task, wish.voter) || wish.allow_self) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "you have started this run yourself; the flow lets you decide, if you say --allow-self");
}

// The payload that a yes is for, or why it cannot be.
absl::StatusOr<Value> Filled(const Task& task, const DecideTask& wish) {
  const std::string& form = task.asked.form;
  if (form.empty()) {
    if (wish.payload.absent() && wish.verdict != Verdict::kRespond) return Value();
    return absl::InvalidArgumentError(
        "the flow gives no `form`: nothing can be filled in or changed");
  }
  if (wish.verdict == Verdict::kRespond && wish.payload.absent()) {
    return absl::InvalidArgumentError("nothing is filled in");
  }
  Value payload = wish.payload.absent() ? task.payload : wish.payload;
  if (payload.absent()) payload = Value::Json("{}");
  const std::vector<std::string> problems = flowspec::CheckValue(form, payload.json());
  if (problems.empty()) return payload;
  return absl::InvalidArgumentError(absl::StrCat(
      "what is filled in is not what the form wants: ",
      absl::StrJoin(
          problems.begin(),
          problems.begin() + std::min<ptrdiff_t>(5, static_cast<ptrdiff_t>(problems.size())),
          "; ")));
}

// What was filled in; where nothing is, who approved.
Value OutputOf(const Task& task) {
  if (!task.asked.form.empty()) return task.payload;
  std::vector<std::string> by;
  std::string comment;
  for (const TaskDecided& decision : task.decisions) {
    if (decision.round != task.asked.round || decision.digest != task.digest) continue;
    by.push_back(flowspec::QuoteJson(decision.voter));
    if (!decision.comment.empty()) comment = decision.comment;
  }
  return Value::Json(absl::StrCat("{\"by\":[", absl::StrJoin(by, ","),
                                  "],\"comment\":", flowspec::QuoteJson(comment),
                                  ",\"round\":", task.asked.round, "}"));
}

void FailStep(const RunState& state, NodeIndex node, Error error, std::vector<Fact>* facts) {
  const std::string path = PathOf(state, node);
  if (state.step_of(node).on_error == flowspec::OnError::kPark) {
    facts->push_back(StepParked{path, error.message});
  } else {
    facts->push_back(StepFinished{path, Status::kFailed, {}, std::move(error)});
  }
}

class Ballot {
 public:
  Ballot(const RunState& state, NodeIndex node, const DecideTask& wish)
      : state_(state), node_(node), task_(state.tasks.at(node)), wish_(wish) {
    decided_ = {
        wish.path,   wish.task,    task_.asked.round,     wish.verdict,    wish.comment,   Value(),
        wish.digest, task_.digest, CountApprovals(task_), wish.voter.name, wish.request_id};
  }

  Facts Approve() {
    absl::StatusOr<Value> payload = Filled(task_, wish_);
    if (!payload.ok()) return payload.status();
    if (*payload != task_.payload) {  // those who approved what stood before have not seen this
      decided_.payload = *payload;
      decided_.digest =
          flowspec::Sha256Hex(absl::StrCat(task_.asked.digest, "\n", payload->json()));
      decided_.approvals = 0;
    }
    ++decided_.approvals;
    std::vector<Fact> facts{decided_};
    if (decided_.approvals < task_.asked.quorum) return facts;
    Task after = task_;
    Apply({state_.seq + 1, absl::Time(), "", decided_}, &after);
    facts.push_back(TaskClosed{wish_.path, wish_.task, TaskOutcome::kApproved, OutputOf(after)});
    return facts;
  }

  Facts Reject() {
    std::vector<Fact> facts{decided_,
                            TaskClosed{wish_.path, wish_.task, TaskOutcome::kRejected, {}}};
    FailStep(state_, node_,
             {"rejected", absl::StrCat("rejected by ", wish_.voter.name,
                                       wish_.comment.empty() ? "" : ": ", wish_.comment)},
             &facts);
    return facts;
  }

  Facts RequestChanges() {
    if (wish_.comment.empty()) {
      return absl::InvalidArgumentError("say what is to be changed: --comment");
    }
    if (task_.asked.max_rounds == 0) {
      return absl::UnimplementedError(
          "the flow says nothing about changes (`on_changes`): approve it or reject it");
    }
    if (task_.asked.round >= task_.asked.max_rounds) {
      return absl::UnimplementedError(absl::StrCat("round ", task_.asked.round, " of ",
                                                   task_.asked.max_rounds,
                                                   " is the last one: approve it or reject it"));
    }
    absl::StatusOr<StepsRewound> rewound = PlanRewind(state_, node_, task_.asked.rerun);
    if (!rewound.ok()) return rewound.status();
    rewound->round = task_.asked.round;
    rewound->comment = wish_.comment;
    rewound->by = wish_.voter.name;
    std::vector<Fact> facts{decided_};
    for (TaskClosed& closed : TasksBelow(state_, *rewound)) facts.push_back(std::move(closed));
    facts.push_back(*std::move(rewound));
    return facts;
  }

 private:
  const RunState& state_;
  const NodeIndex node_;
  const Task& task_;
  const DecideTask& wish_;
  TaskDecided decided_;
};

// The node whose task this is, or NotFound.
absl::StatusOr<NodeIndex> FindTask(const RunState& state, const std::string& path,
                                   uint64_t number) {
  const NodeIndex node = FindNode(state, path);
  const auto task = state.tasks.find(node);
  if (task != state.tasks.end() && task->second.asked.task == number) return node;
  return absl::NotFoundError(absl::StrCat("nobody is asked ", NameOf(number), " any more"));
}

}  // namespace

TaskOpened OpenTask(const RunState& state, NodeIndex node, const Ask& ask, absl::Time now) {
  TaskOpened fact = ask.asked;
  fact.path = PathOf(state, node);
  fact.task = ask.task;
  fact.round = 1;
  if (const auto before = state.tasks.find(node); before != state.tasks.end()) {
    fact.task = before->second.asked.task;
    fact.round = before->second.asked.round + 1;
    fact.previous = before->second.opened_seq;
    // A round that shows the same again is nevertheless another question.
    fact.digest = flowspec::Sha256Hex(absl::StrCat(fact.digest, "\nround ", fact.round));
  }
  fact.initiator = state.actor;
  fact.until = now + ask.timeout;
  return fact;
}

bool IsInitiator(const Task& task, const Voter& voter) {
  return Holds(voter.may_as, absl::StrCat("user:", task.asked.initiator));
}

absl::Status MayDecide(const Task& task, const Voter& voter) {
  if (IsInitiator(task, voter) && !task.asked.self_approval) {
    return absl::PermissionDeniedError(
        "you have started this run yourself, so somebody else decides (the flow does not say "
        "`self_approval: true`)");
  }
  if (GaveAway(task, voter)) {
    return absl::PermissionDeniedError("you have handed your vote on");
  }
  if (IsApprover(task, voter)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      "you (", voter.name,
      ") are none of those who are asked: ", absl::StrJoin(task.asked.approvers, ", ")));
}

absl::Status AnswerClosed(const Task& task, const DecideTask& wish) {
  if (absl::Status repeated = CheckRepeated(task, wish); !repeated.ok()) return repeated;
  std::string how = "was decided";
  if (task.outcome == TaskOutcome::kExpired) {
    how = "has expired";
  } else if (task.outcome) {
    how = absl::StrCat("was ", TaskOutcomeName(*task.outcome));
    const bool person = *task.outcome != TaskOutcome::kCancelled && !task.decisions.empty();
    if (person) absl::StrAppend(&how, " by ", task.decisions.back().voter);
  }
  return absl::FailedPreconditionError(
      absl::StrCat(NameOf(wish.task), " ", how, " already; nothing was changed"));
}

Facts Decide(const RunState& state, const DecideTask& wish, absl::Time now) {
  const absl::StatusOr<NodeIndex> node = FindTask(state, wish.path, wish.task);
  if (!node.ok()) return node.status();
  const Task& task = state.tasks.at(*node);
  if (absl::Status status = CheckRepeated(task, wish); !status.ok()) return status;
  if (absl::Status status = MayDecide(task, wish.voter); !status.ok()) return status;
  if (absl::Status status = CheckFresh(task, wish); !status.ok()) return status;
  if (absl::Status status = CheckSelf(task, wish); !status.ok()) return status;
  if (now >= task.until && (task.escalated || !task.asked.escalates)) {
    return absl::FailedPreconditionError(
        absl::StrCat(NameOf(wish.task), " has expired: its time was over at ",
                     absl::FormatTime(absl::RFC3339_sec, task.until, absl::UTCTimeZone())));
  }
  if (task.decisions.size() >= kDecisionsMax && wish.verdict != Verdict::kReject) {
    return absl::UnimplementedError(absl::StrCat(
        kDecisionsMax, " decisions were made about this task: it can only be rejected"));
  }
  Ballot ballot(state, *node, wish);
  if (IsYes(wish.verdict)) return ballot.Approve();
  return wish.verdict == Verdict::kReject ? ballot.Reject() : ballot.RequestChanges();
}

Facts Decide(const RunState& state, const DelegateTask& wish) {
  const absl::StatusOr<NodeIndex> node = FindTask(state, wish.path, wish.task);
  if (!node.ok()) return node.status();
  const Task& task = state.tasks.at(*node);
  for (const TaskDelegated& given : task.delegations) {
    const bool last = &given == &task.delegations.back();
    const bool request = !wish.request_id.empty() && given.request_id == wish.request_id;
    if ((request || last) && given.voter == wish.voter.name && given.to == wish.to) {
      return absl::AlreadyExistsError("handed on before");
    }
    if (request) return absl::OutOfRangeError("the request id was used for another delegation");
  }
  if (absl::Status status = MayDecide(task, wish.voter); !status.ok()) return status;
  if (Holds(wish.voter.may_as, wish.to)) {
    return absl::InvalidArgumentError("that is yourself");
  }
  const bool voted =
      std::any_of(task.decisions.begin(), task.decisions.end(), [&](const TaskDecided& decision) {
        return decision.voter == wish.voter.name && decision.round == task.asked.round &&
               decision.digest == task.digest;
      });
  if (voted) return absl::FailedPreconditionError("you have decided already");
  if (task.delegations.size() >= kDelegationsMax) {
    return absl::UnimplementedError("votes of this task were handed on too often");
  }
  return std::vector<Fact>{
      TaskDelegated{wish.path, wish.task, wish.voter.name, wish.to, wish.request_id}};
}

std::vector<Fact> TimeIsUp(const RunState& state, NodeIndex node, absl::Time now) {
  const Task& task = state.tasks.at(node);
  const std::string path = PathOf(state, node);
  const bool own = task.until <= now;
  if (own && task.asked.escalates && !task.escalated) {
    return {TaskEscalated{path, task.asked.task, now + (task.asked.until - task.opened_at),
                          task.asked.escalate_to}};
  }
  std::vector<Fact> facts{TaskClosed{path, task.asked.task, TaskOutcome::kExpired, {}}};
  const std::string at = absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone());
  FailStep(state, node,
           own ? Error{"expired", absl::StrCat("nobody decided by ", at, ", and silence is a no")}
               : Error{"timeout", "nobody decided within the step's time"},
           &facts);
  return facts;
}

}  // namespace beamline::run
