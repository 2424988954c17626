// Steps that the engine carries out itself: `flow` starts another run, `signal` sends to one. Both
// are repeatable by their key, so after a crash they are simply done again.
#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/stored_flow.h"
#include "daemon/run/evolve.h"
#include "flowspec/bundle.h"
#include "flowspec/digest.h"
#include "flowspec/inputs.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"

namespace beamline::engine {
namespace {

constexpr int32_t kDepthMax = 16;  // of sub-flows below each other

std::string TextOf(std::string_view json) {
  return flowspec::JsonKind(json) == '"' ? flowspec::UnquoteJson(json) : std::string(json);
}

// The value of a member of a body, as JSON; "" if there is none.
std::string Member(std::string_view body, std::string_view name) {
  for (const auto& [key, value] : flowspec::ObjectMembers(body)) {
    if (key.substr(1, key.size() - 2) == name) return std::string(value);
  }
  return "";
}

run::ReportAttempt ReportOf(const ports::Attempt& attempt) {
  return {.path = attempt.path, .attempt = attempt.attempt};
}

run::ReportAttempt Failed(const ports::Attempt& attempt, const char* kind, std::string message) {
  run::ReportAttempt report = ReportOf(attempt);
  report.outcome = run::Outcome::kFailed;
  report.error = {kind, std::move(message)};
  return report;
}

// A child is started once per attempt, whatever crashes in between.
std::string ChildRequest(const run::RunId& run, const std::string& path, int32_t attempt) {
  return absl::StrCat("child/", run.ToString(), "/", path, "#", attempt);
}

}  // namespace

void Engine::PostReport(const ports::Attempt& attempt, run::ReportAttempt report) {
  Post(AttemptMessage{attempt.run, std::move(report), /*counted=*/false});
}

void Engine::StartChild(LiveRun& live, const ports::Attempt& attempt) {
  const run::RunStarted& parent = live.state.start;
  StartRequest request{.labels = parent.labels,
                       .actor = live.state.actor,
                       .tenant = parent.tenant,
                       .project = parent.project,
                       .trace_id = parent.trace_id,
                       .workspace = parent.workspace};
  request.request_id = ChildRequest(attempt.run, attempt.path, attempt.attempt);
  const int32_t depth = parent.parent ? parent.parent->depth + 1 : 1;
  request.parent = run::Parent{attempt.run, attempt.path, attempt.attempt, depth};
  request.files = parent.files;
  request.llm_answers = parent.llm_answers;
  request.flow_path = parent.flow_path;  // of the parent until the child's is known
  const std::string inputs = Member(attempt.input, "inputs");
  const bool detach = TextOf(Member(attempt.input, "mode")) == "detach";
  if (depth > kDepthMax) {
    return PostReport(attempt, Failed(attempt, "depth",
                                      absl::StrCat("sub-flows are ", kDepthMax,
                                                   " deep; does the flow run itself?")));
  }
  auto shared = std::make_shared<StartRequest>(std::move(request));
  aside_->Do([this, attempt, shared, detach, uses = TextOf(Member(attempt.input, "uses")),
              inputs = inputs.empty() ? "{}" : inputs] {
    StartChildAside(attempt, std::move(*shared), uses, inputs, detach);
  });
}

// The digest that `uses` names, seen from the flow that `request` (still) has the path of.
absl::StatusOr<std::string> Engine::ChildDigest(const std::string& uses, StartRequest* request) {
  if (!absl::StartsWith(uses, ".")) {
    request->flow_path.clear();
    request->files.clear();  // it has its own
    return uses.substr(uses.find("@sha256:") + 8);
  }
  absl::StatusOr<std::string> path = flowspec::ResolveUse(request->flow_path, uses);
  if (!path.ok()) return path.status();
  for (const run::BundledFlow& file : request->files) {
    if (file.path != *path) continue;
    request->flow_path = *path;
    return file.digest;
  }
  return absl::NotFoundError(absl::StrCat(
      "`", uses,
      "` did not come with the flow; submit it with the `beamline` command line, or use "
      "`name@sha256:…` of a registered flow"));
}

void Engine::StartChildAside(const ports::Attempt& attempt, StartRequest request,
                             const std::string& uses, const std::string& inputs, bool detach) {
  const auto fail = [&](const char* kind, std::string message) {
    PostReport(attempt, Failed(attempt, kind, std::move(message)));
  };
  absl::StatusOr<std::string> digest = ChildDigest(uses, &request);
  if (!digest.ok()) return fail("flow", std::string(digest.status().message()));
  absl::StatusOr<StoredFlow> stored = ReadFlow(world_.events, *digest);
  if (!stored.ok()) {
    return fail("flow", absl::StrCat("the flow `", uses,
                                     "` is not known to this daemon; register "
                                     "it with `beamline flow register`"));
  }
  if (request.flow_path.empty()) request.files = std::move(stored->files);
  FlowCache::Loaded loaded = flows_.Load(stored->flow.source);
  if (loaded.flow == nullptr) {
    return fail("flow", absl::StrCat("the flow `", uses,
                                     "` cannot run: ", loaded.findings.front().message));
  }
  request.flow = loaded.flow;
  flowspec::CheckedInputs checked = flowspec::CheckInputs(loaded.flow->flow(), inputs);
  if (!checked.violations.empty()) {
    const auto& first = checked.violations.front();
    return fail("inputs",
                absl::StrCat("input `", first.name, "` of `", uses, "`: ", first.message));
  }
  request.inputs_json = std::move(checked.json);
  request.sensitive = std::move(checked.sensitive);
  request.request_hash = flowspec::Sha256Hex(absl::StrCat(*digest, request.inputs_json));
  StartRun(std::move(request), [this, attempt, detach](const absl::StatusOr<Started>& started) {
    if (!started.ok()) {
      if (absl::IsUnavailable(started.status())) return;  // draining: the next start does it again
      return PostReport(attempt, Failed(attempt, "flow", std::string(started.status().message())));
    }
    if (!detach)
      return Post(ChildMessage{attempt.run, attempt.path, attempt.attempt, started->run});
    run::ReportAttempt report = ReportOf(attempt);
    report.child_run = started->run.ToString();
    report.output = run::Value::Json(absl::StrCat("{\"run\":\"", report.child_run, "\"}"));
    PostReport(attempt, std::move(report));
  });
}

// The child runs; its end reports by itself. What happened before it was known is caught up with.
void Engine::Handle(const ChildMessage& message) {
  LiveRun* parent = Find(message.parent);
  const run::NodeIndex node = parent == nullptr ? -1 : run::FindNode(parent->state, message.path);
  if (node >= 0 && parent->state.node(node).stop) {
    StopChild(*parent, message.path, message.attempt,
              parent->state.stop && parent->state.stop->force);
  }
  if (Find(message.child) != nullptr) return;
  aside_->Do([this, message] {  // parked or over
    const auto row = world_.events.GetRun(message.child);
    if (!row.ok() || !ports::IsFinished(row->status)) return;
    const auto events = world_.events.Read(message.child, 0, SIZE_MAX);
    const auto flow = world_.events.GetFlow(row->flow_digest);
    if (!events.ok() || !flow.ok()) return;
    const FlowCache::Loaded loaded = flows_.Load(flow->source);
    if (loaded.flow == nullptr) return;
    run::RunState state(loaded.flow->plan);
    for (const run::Event& event : *events) state = run::Evolve(std::move(state), event);
    ReportToParent(state);
  });
}

void Engine::StopChild(const LiveRun& live, const std::string& path, int32_t attempt, bool force) {
  const run::RunStarted& parent = live.state.start;
  const std::string request = ChildRequest(parent.run, path, attempt);
  const std::string reason = absl::StrCat("its parent's step ", path, " was stopped");
  const auto recent = starting_.find(absl::StrCat(parent.tenant, "/", request));
  if (recent != starting_.end()) {
    return CancelRun(recent->second.run, "system", reason, force, {});
  }
  aside_->Do([this, tenant = parent.tenant, request, reason, force] {
    const auto found = world_.events.FindRequest(tenant, request);
    if (found.ok() && found->has_value()) CancelRun((*found)->id, "system", reason, force, {});
  });
}

void Engine::TimeOutChild(const LiveRun& live, const std::string& path, int32_t attempt) {
  StopChild(live, path, attempt, /*force=*/false);
  const absl::Duration timeout = live.state.step_of(run::FindNode(live.state, path)).timeout;
  run::ReportAttempt report{.path = path, .attempt = attempt};
  report.outcome = run::Outcome::kFailed;
  report.error = {"timeout", absl::StrCat("timed out after ", absl::FormatDuration(timeout))};
  Post(AttemptMessage{live.state.start.run, std::move(report), /*counted=*/false});
}

// Any thread. A report that comes twice, or late, is refused as stale.
void Engine::ReportToParent(const run::RunState& state) {
  const std::optional<run::Parent>& parent = state.start.parent;
  if (!parent) return;
  run::ReportAttempt report{.path = parent->path, .attempt = parent->attempt};
  report.child_run = state.start.run.ToString();
  if (state.spent != run::Cost()) {
    report.usage.requests = 1;
    report.usage.input_tokens = state.spent.tokens;
    report.usage.nano_usd = state.spent.nano_usd;
  }
  if (state.status == run::Status::kSucceeded) {
    report.output = state.outputs.absent() ? run::Value::Json("null") : state.outputs;
  } else {
    report.outcome = run::Outcome::kFailed;
    report.error = {state.error.ok() ? run::StatusName(state.status) : state.error.kind,
                    absl::StrCat("run ", state.start.run.ToString(), " of `", state.start.flow_name,
                                 "` ", run::StatusName(state.status), state.error.ok() ? "" : ": ",
                                 state.error.message),
                    state.error.exit_code};
  }
  Post(AttemptMessage{parent->run, std::move(report), /*counted=*/false});
}

void Engine::SendSignal(const ports::Attempt& attempt) {
  aside_->Do([this, attempt] {
    const std::string name = TextOf(Member(attempt.input, "name"));
    std::string payload = Member(attempt.input, "payload");
    if (payload.empty()) payload = "null";
    if (payload.size() > run::kSignalBytesMax) {
      return PostReport(attempt, Failed(attempt, "limit", "the payload is over 64 KiB"));
    }
    std::vector<run::RunId> runs;
    const std::string key = Member(attempt.input, "key");
    const std::string id = Member(attempt.input, "run");
    if (!key.empty()) {
      runs = world_.events.FindKeyed(attempt.tenant, TextOf(key)).value_or(runs);
    } else if (const auto run = run::RunId::Parse(TextOf(id)); run) {
      runs = {*run};
    }
    if (runs.empty()) {
      return PostReport(
          attempt, Failed(attempt, "signal",
                          absl::StrCat("no run has the ", key.empty() ? "id " : "idempotency key ",
                                       key.empty() ? id : key)));
    }
    Broadcast(attempt, name, payload, runs);
  });
}

// Done when every run has answered: with at least one that took it in, the step has succeeded.
void Engine::Broadcast(const ports::Attempt& attempt, const std::string& name,
                       const std::string& payload, const std::vector<run::RunId>& runs) {
  struct Answers {
    ports::Mutex mu;
    size_t open ABSL_GUARDED_BY(mu) = 0;
    std::string taken ABSL_GUARDED_BY(mu);
    std::string refusal ABSL_GUARDED_BY(mu);
  };
  auto answers = std::make_shared<Answers>();
  {
    ports::MutexLock lock(&answers->mu);
    answers->open = runs.size();
  }
  for (const run::RunId& run : runs) {
    SignalRun(run, absl::StrCat("run:", attempt.run.ToString()), name, payload,
              attempt.idempotency_key, [this, attempt, run, answers](const absl::Status& status) {
                ports::MutexLock lock(&answers->mu);
                if (status.ok()) {
                  absl::StrAppend(&answers->taken, answers->taken.empty() ? "" : ",", "\"",
                                  run.ToString(), "\"");
                } else {
                  answers->refusal =
                      absl::StrCat("run ", run.ToString(), ": ", std::string(status.message()));
                }
                if (--answers->open > 0) return;
                if (answers->taken.empty()) {
                  return PostReport(attempt, Failed(attempt, "signal", answers->refusal));
                }
                run::ReportAttempt report = ReportOf(attempt);
                report.output = run::Value::Json(absl::StrCat("{\"runs\":[", answers->taken, "]}"));
                PostReport(attempt, std::move(report));
              });
  }
}

}  // namespace beamline::engine
