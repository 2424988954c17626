// How a run comes to be: once per request id and idempotency key, in its turn.
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/engine.h"
#include "daemon/run/decide.h"
#include "flowspec/digest.h"

namespace beamline::engine {
namespace {

// Starts are remembered past their commit, so that a repeated request that looked for its id in the
// store just before cannot start a second run.
constexpr size_t kRecentStartsMax = 65'536;

ports::FlowSource SourceOf(const CompiledFlow& flow) {
  return {flow.flow().digest, flow.flow().name, flow.flow().source};
}

std::string RequestName(const StartRequest& request) {
  return absl::StrCat(request.tenant, "/", request.request_id);
}

std::string KeyName(const StartRequest& request, const std::string& key) {
  return absl::StrCat(request.tenant, "\n", request.flow->flow().name, "\n", key);
}

absl::Status Reused() {
  return absl::AlreadyExistsError("the request id was used for another request");
}

// What has to be equal under one idempotency key. Whoever asks, from wherever, gets the same run.
std::string HashOfInputs(const StartRequest& request) {
  return flowspec::Sha256Hex(request.inputs_json);
}

// What a second start under a flow's idempotency key is answered with.
absl::StatusOr<Started> Repeated(const StartRequest& request, const run::RunId& run,
                                 const std::string& hash) {
  if (!request.flow->flow().idempotency->conflict_return) {
    return absl::FailedPreconditionError(
        absl::StrCat("run ", run.ToString(),
                     " has the same idempotency key, and the flow says "
                     "`conflict: reject`"));
  }
  if (hash == HashOfInputs(request)) return Started{run, true};
  return absl::AlreadyExistsError(
      absl::StrCat("run ", run.ToString(), " has the same idempotency key and other inputs"));
}

run::RunStarted StartOf(const StartRequest& request, const run::RunId& run) {
  const flowspec::Flow& flow = request.flow->flow();
  run::RunStarted start{run,
                        request.tenant,
                        request.project,
                        flow.name,
                        flow.digest,
                        run::Value(),
                        request.labels,
                        request.trace_id,
                        request.workspace,
                        request.request_id,
                        request.request_hash};
  start.parent = request.parent;
  if (!request.trigger.empty()) start.trigger = run::Value::Json(request.trigger);
  start.files = request.files;
  start.flow_path = request.flow_path;
  start.llm_answers = request.llm_answers;
  start.break_at = request.break_at;
  start.only = request.only;
  start.replay_of = request.replay_of;
  return start;
}

}  // namespace

void Engine::StartRun(StartRequest request, std::function<void(absl::StatusOr<Started>)> done) {
  if (draining_flag_) return done(absl::UnavailableError("the daemon is shutting down"));
  const flowspec::Flow& flow = request.flow->flow();
  if (!flow.idempotency && !flow.concurrency) return BeginRun(std::move(request), {}, done);
  // Keys are expressions: working them out must not hold up whoever asks.
  auto shared = std::make_shared<StartRequest>(std::move(request));
  aside_->Do([this, shared, done = std::move(done)] {
    run::RunStarted start = StartOf(*shared, run::RunId());
    start.inputs = run::Value::Json(shared->inputs_json);
    auto keys = resolver_.ResolveKeys(shared->flow, start, world_.clock.Now());
    if (!keys.ok()) {
      return done(absl::InvalidArgumentError(absl::StrCat(
          "the flow's idempotency or concurrency key: ", std::string(keys.status().message()))));
    }
    // A rehearsal is not the run that the key stands for.
    if (!shared->llm_answers.absent()) keys->idempotency.clear();
    if (shared->replay_of) keys->idempotency.clear();  // it is another run of the same on purpose
    BeginRun(std::move(*shared), *std::move(keys), done);
  });
}

absl::StatusOr<std::optional<Started>> Engine::FindKeyed(const StartRequest& request,
                                                         const std::string& key) const {
  const flowspec::Flow& flow = request.flow->flow();
  auto found = world_.events.FindKey(request.tenant, flow.name, key);
  if (!found.ok()) return found.status();
  const bool stands =
      found->has_value() && (*found)->started_at + flow.idempotency->window > world_.clock.Now();
  if (!stands) return std::nullopt;
  absl::StatusOr<Started> repeated = Repeated(request, (*found)->id, (*found)->hash);
  if (!repeated.ok()) return repeated.status();
  return *repeated;
}

// Any thread.
void Engine::BeginRun(StartRequest request, Resolver::Keys keys,
                      std::function<void(absl::StatusOr<Started>)> done) {
  if (!request.request_id.empty()) {
    auto found = world_.events.FindRequest(request.tenant, request.request_id);
    if (!found.ok()) return done(found.status());
    if (found->has_value()) {
      if ((*found)->hash == request.request_hash) return done(Started{(*found)->id, true});
      return done(Reused());
    }
  }
  if (!keys.idempotency.empty()) {
    auto found = FindKeyed(request, keys.idempotency);
    if (!found.ok()) return done(found.status());
    if (found->has_value()) return done(**found);
  }
  const run::RunId id = run::RunId::Make(world_.clock.Now(), world_.clock.Entropy());
  if (request.workspace_of) request.workspace = request.workspace_of(id);
  if (!request.sensitive.empty()) {
    // Sealed before the run exists: a run that is on disk can always go on.
    absl::Status sealed = world_.vault.Put(id, request.sensitive);
    if (!sealed.ok()) return done(sealed);
  }
  Post(StartMessage{id, std::move(request), std::move(keys), std::move(done)});
}

// True if the message was answered: by a start that may not be on disk yet.
bool Engine::AnswerRepeated(StartMessage& message) {
  const StartRequest& request = message.request;
  absl::StatusOr<Started> answer = absl::UnknownError("");
  const auto same =
      request.request_id.empty() ? starting_.end() : starting_.find(RequestName(request));
  const auto keyed = message.keys.idempotency.empty()
                         ? starting_.end()
                         : starting_.find(KeyName(request, message.keys.idempotency));
  if (same != starting_.end()) {
    answer = same->second.hash == request.request_hash
                 ? absl::StatusOr<Started>(Started{same->second.run, true})
                 : Reused();
  } else if (keyed != starting_.end() &&
             keyed->second.at + request.flow->flow().idempotency->window > world_.clock.Now()) {
    answer = Repeated(request, keyed->second.run, keyed->second.hash);
  } else {
    return false;
  }
  world_.vault.Forget(message.run);
  gathering_.replies.push_back(
      [done = std::move(message.done), answer = std::move(answer)] { done(answer); });
  return true;
}

void Engine::Remember(const std::string& name, const run::RunId& run, std::string hash) {
  starting_[name] = {run, std::move(hash), world_.clock.Now()};
  starting_order_.push_back(name);
  if (starting_order_.size() > kRecentStartsMax) {
    starting_.erase(starting_order_.front());
    starting_order_.pop_front();
  }
}

// Lets the run in, queues it, or refuses it; makes room where the flow says so.
absl::Status Engine::TakeTurn(const StartMessage& message, run::RunStarted* start) {
  const auto& concurrency = message.request.flow->flow().concurrency;
  if (!concurrency) return absl::OkStatus();
  using Overflow = flowspec::Concurrency::Overflow;
  const std::string turn = absl::StrCat(start->flow_name, "/", message.keys.concurrency);
  const std::string line = absl::StrCat(start->tenant, "/", turn);
  start->concurrency_key = turn;
  if (run_turns_.Free(line, concurrency->limit)) {
    run_turns_.Enter(line, message.run);
    return absl::OkStatus();
  }
  if (concurrency->overflow == Overflow::kReject) {
    return absl::AbortedError(
        absl::StrCat(concurrency->limit, concurrency->limit == 1 ? " run goes" : " runs go",
                     " on with the concurrency key `", message.keys.concurrency,
                     "`, and the flow says `overflow: reject`"));
  }
  if (concurrency->overflow == Overflow::kCancelOldest) {
    std::vector<run::RunId> before = run_turns_.Holders(line);
    before.insert(before.end(), run_turns_.Queue(line).begin(), run_turns_.Queue(line).end());
    std::erase_if(before, [&](const run::RunId& run) {
      const LiveRun* live = Find(run);
      return live != nullptr && live->state.stop.has_value();
    });
    for (size_t i = 0; i + static_cast<size_t>(concurrency->limit) <= before.size(); ++i) {
      run::CancelRun cancel{absl::StrCat("run ", message.run.ToString(), " takes its turn"), false};
      local_.push_back({before[i], {"system", 0, std::move(cancel)}, {}, nullptr});
    }
  }
  start->queued = true;
  run_turns_.Wait(line, message.run);
  return absl::OkStatus();
}

void Engine::Handle(StartMessage message) {
  if (AnswerRepeated(message)) return;
  StartRequest& request = message.request;
  auto live = std::make_unique<LiveRun>(run::RunState(request.flow->plan));
  live->flow = request.flow;
  run::StartRun wish{StartOf(request, message.run), std::move(request.reused)};
  const auto refuse = [&](const absl::Status& status) {
    world_.vault.Forget(message.run);
    message.done(status);
  };
  const std::string& key = message.keys.idempotency;
  const std::string key_hash = key.empty() ? "" : HashOfInputs(request);
  absl::StatusOr<run::Value> inputs = Spill(std::move(request.inputs_json), world_.blobs);
  if (!inputs.ok()) return refuse(inputs.status());
  wish.start.inputs = *std::move(inputs);
  if (!request.trigger.empty()) {
    absl::StatusOr<run::Value> trigger = Spill(std::move(request.trigger), world_.blobs);
    if (!trigger.ok()) return refuse(trigger.status());
    wish.start.trigger = *std::move(trigger);
  }
  if (absl::Status turn = TakeTurn(message, &wish.start); !turn.ok()) return refuse(turn);
  auto events = run::Advance(live->state, {request.actor, 0, std::move(wish)}, world_.clock.Now());
  if (!events.ok()) return refuse(events.status());
  if (!request.request_id.empty()) {
    Remember(RequestName(request), message.run, request.request_hash);
  }
  if (!key.empty()) Remember(KeyName(request, key), message.run, key_hash);
  std::vector<ports::FlowSource> sources = std::move(request.sources);
  sources.push_back(SourceOf(*request.flow));
  Record(*live, *std::move(events), {std::move(sources), key, key_hash});
  gathering_.replies.push_back([done = std::move(message.done), run = message.run] {
    done(Started{run, false});
  });
  runs_.emplace(message.run, std::move(live));
  CountRuns();
}

}  // namespace beamline::engine
