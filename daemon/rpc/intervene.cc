// Wishes become commands; the answer is read from the facts they led to, so that a repeated request
// has the same one.
#include "daemon/rpc/intervene.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "daemon/codec/utf8.h"
#include "daemon/engine/values.h"
#include "daemon/rpc/folded_run.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/start_run.h"
#include "daemon/run/preview.h"
#include "flowspec/digest.h"
#include "flowspec/inputs.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/value_schema.h"

namespace beamline::rpc {
namespace {

constexpr size_t kReasonBytesMax = 4096;
constexpr size_t kPageBytes = 1 << 20;

// What a request led to, as the log has it.
struct Changes {
  std::vector<std::string> steps, following;
  bool reopened = false;
};

// False if the request is not among the events after `after`.
bool FindChanges(const Backend& backend, const run::RunId& id, uint64_t after,
                 const std::string& request_id, Changes* changes) {
  bool found = false;
  while (true) {
    const auto events = backend.events.Read(id, after, kPageBytes);
    if (!events.ok() || events->empty()) return found;
    after = events->back().seq;
    for (const run::Event& event : *events) {
      const auto* begin = std::get_if<run::Intervened>(&event.fact);
      if (begin != nullptr) {
        if (found) return true;
        found = begin->request_id == request_id;
      }
      if (!found || begin != nullptr) continue;
      if (std::holds_alternative<run::RunReopened>(event.fact)) {
        changes->reopened = true;
      } else if (const auto* step = std::get_if<run::StepRequeued>(&event.fact)) {
        (step->follows ? changes->following : changes->steps).push_back(step->path);
      } else if (!std::holds_alternative<run::StepMarked>(event.fact) &&
                 !std::holds_alternative<run::InputsChanged>(event.fact)) {
        return true;  // what the run went on with
      }
    }
  }
}

Changes ChangesBy(const Backend& backend, const ports::RunRow& before,
                  const std::string& request_id) {
  Changes changes;
  if (!FindChanges(backend, before.id, before.last_seq, request_id, &changes)) {
    FindChanges(backend, before.id, 0, request_id, &changes);
  }
  return changes;
}

absl::StatusOr<std::shared_ptr<const engine::CompiledFlow>> FlowOf(const Backend& backend,
                                                                   const ports::RunRow& row) {
  const auto source = backend.events.GetFlow(row.flow_digest);
  if (!source.ok()) return source.status();
  auto loaded = backend.engine.flows().Load(source->source);
  if (loaded.flow == nullptr) {
    return absl::DataLossError("the flow of the run cannot be read any more");
  }
  return std::move(loaded.flow);
}

absl::StatusOr<run::Value> InputsOf(const Backend& backend, const ports::RunRow& row) {
  run::Value inputs;
  uint64_t after = 0;
  while (true) {
    const auto events = backend.events.Read(row.id, after, kPageBytes);
    if (!events.ok()) return events.status();
    if (events->empty()) return inputs;
    after = events->back().seq;
    for (const run::Event& event : *events) {
      if (const auto* start = std::get_if<run::RunStarted>(&event.fact)) inputs = start->inputs;
      if (const auto* now = std::get_if<run::InputsChanged>(&event.fact)) inputs = now->inputs;
    }
  }
}

// The run's inputs with some of them changed, as JSON; "" if none is.
absl::StatusOr<std::string> ChangedInputs(const Backend& backend, const ports::RunRow& row,
                                          const std::string& changes) {
  if (changes.empty()) return std::string();
  const auto flow = FlowOf(backend, row);
  if (!flow.ok()) return flow.status();
  for (const flowspec::Input& input : (*flow)->flow().inputs) {
    if (!input.sensitive) continue;
    return InvalidField("inputs",
                        "the run has sensitive inputs; replay it with other inputs instead");
  }
  const absl::StatusOr<run::Value> before = InputsOf(backend, row);
  if (!before.ok()) return before.status();
  const absl::StatusOr<std::string> merged = MergeInputs(backend, *before, changes);
  if (!merged.ok()) return merged.status();
  flowspec::CheckedInputs checked = flowspec::CheckInputs((*flow)->flow(), *merged);
  if (!checked.violations.empty()) return RefuseInputs(checked.violations);
  return std::move(checked.json);
}

// The step that a path like "draft/write" or "enrich[17]" names; null if there is none.
const flowspec::Step* StepAt(const run::Plan& plan, const std::string& path) {
  int32_t step = -1;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    const absl::string_view id = part.substr(0, part.find('['));
    step = plan.Find(step, std::string_view(id.data(), id.size()));
    if (step < 0) return nullptr;
  }
  return &plan.step(step);
}

absl::Status CheckOutput(const Backend& backend, const ports::RunRow& row, const std::string& path,
                         const std::string& output) {
  if (output.size() > kInputsBytesMax) return TooLarge("output", output.size(), kInputsBytesMax);
  if (!flowspec::CheckJson(output).ok() || !codec::IsUtf8(output)) {
    return InvalidField("output", "not one JSON value in UTF-8");
  }
  const auto flow = FlowOf(backend, row);
  if (!flow.ok()) return flow.status();
  const flowspec::Step* step = StepAt(*(*flow)->plan, path);
  if (step == nullptr || step->outputs_schema.empty()) return absl::OkStatus();
  const std::vector<std::string> problems = flowspec::CheckValue(step->outputs_schema, output);
  if (problems.empty()) return absl::OkStatus();
  return InvalidField("output", absl::StrCat("is not what the step's `outputs` say: ",
                                             absl::StrJoin(problems, "; ")));
}

// What a retry would come to: decided by the core on a fold of the log, and not recorded.
absl::Status Preview(const Backend& backend, const ports::RunRow& row,
                     const v1::RetryRunRequest& request, const std::string& inputs,
                     v1::RetryRunResponse* response) {
  absl::StatusOr<FoldedRun> folded = FoldRun(backend, row);
  if (!folded.ok()) return folded.status();
  const run::RetryStep wish{{request.reason(), "", ""},
                            request.step(),
                            request.downstream(),
                            request.failed_items(),
                            inputs.empty() ? run::Value() : run::Value::Json(inputs)};
  const auto preview = run::PreviewRetry(std::move(folded->state), wish, backend.clock.Now());
  if (!preview.ok()) return RefuseWish(preview.status(), request.run_id(), request.step());
  for (const run::Fact& fact : preview->facts) {
    if (std::holds_alternative<run::RunReopened>(fact)) response->set_reopened(true);
    const auto* step = std::get_if<run::StepRequeued>(&fact);
    if (step != nullptr)
      *(step->follows ? response->add_following() : response->add_steps()) = step->path;
  }
  for (const run::Kept& kept : preview->kept) {
    v1::KeptResult* result = response->add_kept();
    result->set_path(kept.path);
    result->set_items(kept.items);
  }
  response->set_inputs(inputs);
  response->set_status(ToWire(row.status));
  return absl::OkStatus();
}

// Carries out a wish about a run that is there; `answer(changes, status)` fills the response.
template <class Answer>
void Carry(const Backend& backend, const Caller& caller, const ports::RunRow& row,
           const run::Wish& wish, const std::string& request_id, std::string step, Answer answer,
           Done done) {
  backend.engine.Intervene(
      row.id, caller.actor, wish,
      [&backend, row, request_id, step = std::move(step), answer,
       done = std::move(done)](const absl::Status& status) {
        backend.reads.Do([&backend, row, request_id, step, answer, done, status] {
          if (!status.ok()) return done(RefuseWish(status, row.id.ToString(), step));
          const auto now = backend.events.GetRun(row.id);
          if (now.ok()) answer(ChangesBy(backend, row, request_id), ToWire(now->status));
          done(now.status());
        });
      });
}

}  // namespace

absl::Status CheckWish(const std::string& request_id, const std::string& reason) {
  if (request_id.size() > kRequestIdBytesMax) {
    return TooLarge("request_id", request_id.size(), kRequestIdBytesMax);
  }
  if (reason.size() > kReasonBytesMax) return TooLarge("reason", reason.size(), kReasonBytesMax);
  return absl::OkStatus();
}

run::Intervention InterventionOf(const std::string& request_id, const std::string& reason,
                                 std::initializer_list<std::string_view> body) {
  std::string canonical;
  for (const std::string_view part : body) {
    absl::StrAppend(&canonical, part.size(), ":", absl::string_view(part.data(), part.size()));
  }
  return {reason, request_id, flowspec::Sha256Hex(canonical).substr(0, 32)};
}

absl::Status RefuseWish(const absl::Status& status, const std::string& run_id,
                        const std::string& step) {
  const std::string message(status.message());
  if (absl::IsFailedPrecondition(status)) {
    return Refusal(Reason::kNotPossible, message)
        .With("run_id", run_id)
        .Precondition("STATUS", run_id, message);
  }
  if (absl::IsInvalidArgument(status)) {
    return Refusal(Reason::kRequestIdReused, message)
        .Violation("request_id", "was used for a request with another content");
  }
  if (!absl::IsNotFound(status)) return status;
  if (message.rfind("no run", 0) == 0) return RunNotFound(run_id);
  return Refusal(Reason::kStepNotFound, message)
      .With("run_id", run_id)
      .Resource("step", step.substr(0, 256));
}

absl::StatusOr<std::string> MergeInputs(const Backend& backend, const run::Value& inputs,
                                        const std::string& changes) {
  if (changes.size() > kInputsBytesMax) return TooLarge("inputs", changes.size(), kInputsBytesMax);
  const std::string over = changes.empty() ? "{}" : changes;
  if (!flowspec::CheckJson(over).ok() || !codec::IsUtf8(over) || flowspec::JsonKind(over) != '{') {
    return InvalidField("inputs", "not a JSON object in UTF-8");
  }
  absl::StatusOr<std::string> before = engine::Load(inputs, backend.blobs);
  if (!before.ok()) return before.status();
  const auto changed = flowspec::ObjectMembers(over);
  std::vector<std::string> members;
  for (const auto& [key, value] : flowspec::ObjectMembers(*before)) {
    const bool again =
        std::any_of(changed.begin(), changed.end(),
                    [&key = key](const auto& member) { return member.first == key; });
    const auto parts = flowspec::ObjectMembers(value);
    const bool sensitive =
        parts.size() == 1 && parts[0].first == "\"sensitive\"" && parts[0].second == key;
    if (!again && !sensitive) {
      members.push_back(absl::StrCat(std::string(key), ":", std::string(value)));
    }
  }
  for (const auto& [key, value] : changed) {
    members.push_back(absl::StrCat(std::string(key), ":", std::string(value)));
  }
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

void RetryRun(const Backend& backend, const Caller& caller, const v1::RetryRunRequest& request,
              v1::RetryRunResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
    if (!row.ok()) return done(row.status());
    absl::Status checked = CheckWish(request.request_id(), request.reason());
    if (checked.ok() && request.step().size() > kPathBytesMax) {
      checked = TooLarge("step", request.step().size(), kPathBytesMax);
    }
    if (!checked.ok()) return done(checked);
    absl::StatusOr<std::string> changed = ChangedInputs(backend, *row, request.inputs());
    if (!changed.ok()) return done(changed.status());
    if (request.dry_run()) return done(Preview(backend, *row, request, *changed, response));
    absl::StatusOr<run::Value> inputs = run::Value();
    if (!changed->empty()) inputs = engine::Spill(*std::move(changed), backend.blobs);
    if (!inputs.ok()) return done(inputs.status());
    run::RetryStep wish{InterventionOf(request.request_id(), request.reason(),
                                       {"retry", request.step(), request.downstream() ? "d" : "",
                                        request.failed_items() ? "i" : "", request.inputs()}),
                        request.step(), request.downstream(), request.failed_items(),
                        *std::move(inputs)};
    Carry(
        backend, caller, *row, wish, request.request_id(), request.step(),
        [response](const Changes& changes, v1::Status status) {
          response->set_status(status);
          response->mutable_steps()->Add(changes.steps.begin(), changes.steps.end());
          response->mutable_following()->Add(changes.following.begin(), changes.following.end());
          response->set_reopened(changes.reopened);
        },
        done);
  });
}

void SkipStep(const Backend& backend, const Caller& caller, const v1::SkipStepRequest& request,
              v1::SkipStepResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
    if (!row.ok()) return done(row.status());
    const std::string output = request.output().empty() ? "null" : request.output();
    absl::Status checked = CheckWish(request.request_id(), request.reason());
    if (checked.ok() && (request.step().empty() || request.step().size() > kPathBytesMax)) {
      checked = InvalidField("step", "is the path of a step");
    }
    if (checked.ok()) checked = CheckOutput(backend, *row, request.step(), output);
    if (!checked.ok()) return done(checked);
    absl::StatusOr<run::Value> value = engine::Spill(output, backend.blobs);
    if (!value.ok()) return done(value.status());
    run::SkipStep wish{
        InterventionOf(request.request_id(), request.reason(), {"skip", request.step(), output}),
        request.step(), *std::move(value)};
    Carry(
        backend, caller, *row, wish, request.request_id(), request.step(),
        [response](const Changes& changes, v1::Status status) {
          response->set_status(status);
          response->mutable_following()->Add(changes.following.begin(), changes.following.end());
          response->set_reopened(changes.reopened);
        },
        done);
  });
}

void PauseRun(const Backend& backend, const Caller& caller, const v1::PauseRunRequest& request,
              v1::PauseRunResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
    if (!row.ok()) return done(row.status());
    if (absl::Status checked = CheckWish(request.request_id(), request.reason()); !checked.ok()) {
      return done(checked);
    }
    if (ports::IsFinished(row->status)) {
      return done(Refusal(Reason::kRunFinished, "the run is finished already")
                      .With("run_id", request.run_id())
                      .Precondition("STATUS", request.run_id(), "the run is finished already"));
    }
    run::PauseRun wish{InterventionOf(request.request_id(), request.reason(), {"pause"})};
    Carry(
        backend, caller, *row, wish, request.request_id(), "",
        [response](const Changes&, v1::Status status) { response->set_status(status); }, done);
  });
}

}  // namespace beamline::rpc
