// The run that is replayed is folded from its log and stays as it is; the new one starts as any
// other does, with what it takes over.
#include "daemon/rpc/replay_run.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/values.h"
#include "daemon/rpc/folded_run.h"
#include "daemon/rpc/intervene.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/start_run.h"
#include "daemon/run/reuse.h"
#include "flowspec/digest.h"

namespace beamline::rpc {
namespace {

// The start of the new run as anybody might ask for it.
absl::StatusOr<v1::StartRunRequest> StartOf(const Backend& backend, const Caller& caller,
                                            const v1::ReplayRunRequest& request,
                                            const FoldedRun& old) {
  const run::RunStarted& before = old.state.start;
  v1::StartRunRequest start;
  start.set_request_id(request.request_id());
  const bool same = request.flow_source().empty();
  start.set_flow_source(same ? old.flow_source : request.flow_source());
  if (!same) *start.mutable_files() = request.files();
  for (const run::BundledFlow& file : before.files) {
    if (!same) break;
    auto source = backend.events.GetFlow(file.digest);
    if (!source.ok()) return source.status();
    v1::FlowFile* to = start.add_files();
    to->set_path(file.path);
    to->set_source(source->source);
  }
  for (const auto& [key, value] : before.labels) {
    v1::Label* label = start.add_labels();
    label->set_key(key);
    label->set_value(value);
  }
  if (!before.llm_answers.absent()) {
    absl::StatusOr<std::string> answers = engine::Load(before.llm_answers, backend.blobs);
    if (!answers.ok()) return answers.status();
    start.set_llm_answers(*std::move(answers));
  }
  // Over the network a run gets a directory of its own.
  if (!caller.remote) start.set_workspace(before.workspace);
  absl::StatusOr<std::string> inputs = MergeInputs(backend, before.inputs, request.inputs());
  if (!inputs.ok()) return inputs.status();
  start.set_inputs(*std::move(inputs));
  return start;
}

absl::StatusOr<engine::StartRequest> CheckReplay(const Backend& backend, const Caller& caller,
                                                 const v1::ReplayRunRequest& request,
                                                 v1::ReplayRunResponse* response) {
  const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
  if (!row.ok()) return row.status();
  const absl::StatusOr<FoldedRun> old = FoldRun(backend, *row);
  if (!old.ok()) return old.status();
  if (!run::IsTerminal(old->state.status) && !run::OnlyWaits(old->state)) {
    const char* message = "steps of the run are under way; wait until it is over, or cancel it";
    return Refusal(Reason::kNotPossible, message)
        .With("run_id", request.run_id())
        .Precondition("STATUS", request.run_id(), message);
  }
  const absl::StatusOr<v1::StartRunRequest> plain = StartOf(backend, caller, request, *old);
  if (!plain.ok()) return plain.status();
  absl::StatusOr<engine::StartRequest> start = CheckStart(backend, caller, *plain);
  if (!start.ok()) return start;
  absl::StatusOr<run::Reusable> results =
      run::ReuseResults(old->state, *start->flow->plan, request.from());
  if (!results.ok()) return RefuseWish(results.status(), request.run_id(), request.from());
  for (const run::StepReused& reused : results->reused) response->add_reused(reused.path);
  for (const std::string& id : results->again) response->add_again(id);
  start->replay_of = run::ReplayOf{row->id, request.from()};
  start->reused = std::move(results->reused);
  if (request.flow_source().empty()) start->flow_path = old->state.start.flow_path;
  if (!start->request_id.empty()) {
    start->request_hash = flowspec::Sha256Hex(
        absl::StrCat(start->request_hash, " replay ", request.run_id(), " ", request.from()));
  }
  return start;
}

}  // namespace

void ReplayRun(const Backend& backend, const Caller& caller, const v1::ReplayRunRequest& request,
               v1::ReplayRunResponse* response, Done done) {
  backend.reads.Do([&backend, caller, &request, response, done = std::move(done)] {
    absl::StatusOr<engine::StartRequest> start = CheckReplay(backend, caller, request, response);
    if (!start.ok()) return done(start.status());
    response->set_flow_id(start->flow->flow().digest);
    response->set_trace_id(start->trace_id);
    auto started = [&backend, &request, response, done](absl::StatusOr<engine::Started> result) {
      backend.answers.Do([&request, response, done, result = std::move(result)] {
        if (!result.ok()) return done(RefuseStart(result.status(), request.request_id()));
        response->set_run_id(result->run.ToString());
        response->set_existing(result->existing);
        done(absl::OkStatus());
      });
    };
    backend.engine.StartRun(*std::move(start), std::move(started));
  });
}

}  // namespace beamline::rpc
