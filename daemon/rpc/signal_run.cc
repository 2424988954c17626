// A payload that no wait of the flow could take is refused before anything is recorded.
#include "daemon/rpc/signal_run.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/codec/utf8.h"
#include "daemon/rpc/intervene.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/value_schema.h"

namespace beamline::rpc {
namespace {

constexpr size_t kNameBytesMax = 256;
constexpr size_t kRequestIdBytesMax = 256;

// A signal that a step of the flow waits for, as far as the flow says it without expressions.
struct Awaited {
  std::string name;    // empty: an expression
  std::string schema;  // empty: any payload, or an expression
};

std::vector<Awaited> AwaitedBy(const flowspec::Flow& flow) {
  std::vector<Awaited> all;
  for (const flowspec::Step& step : flow.steps) {
    if (step.kind != flowspec::StepKind::kWait) continue;
    if (!step.input.constant()) {
      all.emplace_back();
      continue;
    }
    for (const auto& [key, value] : flowspec::ObjectMembers(step.input.pieces.front().text)) {
      if (key != "\"signal\"") continue;
      Awaited& awaited = all.emplace_back();
      for (const auto& [name, member] : flowspec::ObjectMembers(value)) {
        if (name == "\"name\"") awaited.name = flowspec::UnquoteJson(member);
        if (name == "\"schema\"") awaited.schema = member;
      }
    }
  }
  return all;
}

absl::Status CheckPayload(const std::vector<Awaited>& awaited, const std::string& name,
                          const std::string& payload, bool* expected) {
  std::vector<std::string> problems;
  for (const Awaited& signal : awaited) {
    if (!signal.name.empty() && signal.name != name) continue;
    *expected = true;
    if (signal.schema.empty()) return absl::OkStatus();
    problems = flowspec::CheckValue(signal.schema, payload);
    if (problems.empty()) return absl::OkStatus();
  }
  if (problems.empty()) return absl::OkStatus();
  return Refusal(Reason::kSignalInvalid,
                 absl::StrCat("the payload is not what the flow waits for: ",
                              absl::StrJoin(problems, "; ")))
      .Violation("payload", problems.front());
}

absl::Status Check(const Backend& backend, const ports::RunRow& row,
                   const v1::SignalRunRequest& request, v1::SignalRunResponse* response) {
  if (request.name().empty() || request.name().size() > kNameBytesMax) {
    return InvalidField("name", absl::StrCat("a signal's name has 1 to ", kNameBytesMax, " bytes"));
  }
  if (request.request_id().size() > kRequestIdBytesMax) {
    return TooLarge("request_id", request.request_id().size(), kRequestIdBytesMax);
  }
  if (request.payload().size() > run::kSignalBytesMax) {
    return TooLarge("payload", request.payload().size(), run::kSignalBytesMax);
  }
  const std::string payload = request.payload().empty() ? "null" : request.payload();
  if (!flowspec::CheckJson(payload).ok() || !codec::IsUtf8(payload)) {
    return InvalidField("payload", "not one JSON value in UTF-8");
  }
  const auto source = backend.events.GetFlow(row.flow_digest);
  if (!source.ok()) return source.status();
  const engine::FlowCache::Loaded loaded = backend.engine.flows().Load(source->source);
  if (loaded.flow == nullptr) return absl::OkStatus();
  bool expected = false;
  absl::Status status =
      CheckPayload(AwaitedBy(loaded.flow->flow()), request.name(), payload, &expected);
  response->set_expected(expected);
  return status;
}

// What the engine says about a wish, in the catalogue's words.
absl::Status Refuse(const absl::Status& status, const std::string& run_id, Reason precondition) {
  if (absl::IsFailedPrecondition(status)) {
    const std::string message(status.message());
    return Refusal(precondition, message)
        .With("run_id", run_id)
        .Precondition("STATUS", run_id, message);
  }
  if (absl::IsResourceExhausted(status)) {
    return Refusal(Reason::kSignalsUntaken, std::string(status.message()))
        .With("run_id", run_id)
        .Quota("signals", std::string(status.message()));
  }
  return status;
}

}  // namespace

void SignalRun(const Backend& backend, const Caller& caller, const v1::SignalRunRequest& request,
               v1::SignalRunResponse* response, Done done) {
  backend.reads.Do([&backend, actor = caller.actor, &request, response, done = std::move(done)] {
    const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
    if (!row.ok()) return done(row.status());
    if (absl::Status checked = Check(backend, *row, request, response); !checked.ok()) {
      return done(checked);
    }
    backend.engine.SignalRun(row->id, actor, request.name(),
                             request.payload().empty() ? "null" : request.payload(),
                             request.request_id(), [&backend, &request, done](absl::Status status) {
                               backend.answers.Do([&request, done, status = std::move(status)] {
                                 done(Refuse(status, request.run_id(), Reason::kRunFinished));
                               });
                             });
  });
}

void ResumeRun(const Backend& backend, const Caller& caller, const v1::ResumeRunRequest& request,
               Done done) {
  if (absl::Status checked = CheckWish(request.request_id(), ""); !checked.ok()) {
    return done(checked);
  }
  const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
  if (!row.ok()) return done(row.status());
  const auto answer = [&backend, &request, done = std::move(done)](absl::Status status) {
    backend.answers.Do([&request, done, status = std::move(status)] {
      done(absl::IsInvalidArgument(status)
               ? RefuseWish(status, request.run_id(), request.step())
               : Refuse(status, request.run_id(), Reason::kNothingHeld));
    });
  };
  // One request, whatever it turns out to mean: the run itself knows whether it is paused or a step
  // of it held, and whether it was resumed by this very request.
  const run::Intervention why =
      InterventionOf(request.request_id(), "", {"resume", request.step()});
  const auto release = [&backend, &request, run = row->id, actor = caller.actor, why, answer] {
    backend.engine.Intervene(run, actor, run::ReleaseStep{why, request.step()}, answer);
  };
  if (!request.step().empty()) return release();
  backend.engine.Intervene(row->id, caller.actor, run::ResumePaused{why},
                           [answer, release](const absl::Status& status) {
                             absl::IsFailedPrecondition(status) ? release() : answer(status);
                           });
}

}  // namespace beamline::rpc
