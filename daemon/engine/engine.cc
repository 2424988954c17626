// The mailbox, the turn of the loop and the commands.
#include "daemon/engine/engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/run/decide.h"

namespace beamline::engine {
namespace {

// Ids of recent starts are remembered past their commit, so that a repeated request that looked
// for the id in the store just before cannot start a second run.
constexpr size_t kRecentStartsMax = 65'536;

ports::FlowSource SourceOf(const CompiledFlow& flow) {
  return {flow.flow().digest, flow.flow().name, flow.flow().source};
}

}  // namespace

Engine::Engine(World world, EngineOptions options)
    : world_(world),
      options_(std::move(options)),
      resolver_(world.evaluator, world.blobs),
      writer_(world.events),
      slots_free_(options_.attempts_max),
      aside_(std::make_unique<Aside>(2)) {}

Engine::~Engine() { Stop(); }

void Engine::Stop() {
  if (aside_ != nullptr) aside_->Wait();  // what it works out is still recorded
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  aside_.reset();
  writer_.Stop();
}

void Engine::Start() {
  writer_.Start();
  thread_ = std::thread([this] {
    // What recovery found to do is in no mailbox: the first turn must not wait for a message.
    Step(absl::ZeroDuration());
    while (true) {
      Step(absl::InfiniteDuration());
      const bool recorded = failed_ || (!writing_ && gathering_.marks.empty());
      ports::MutexLock lock(&mu_);
      if (stopping_ && recorded && mailbox_.empty()) return;
    }
  });
}

void Engine::Post(Message message) {
  ports::MutexLock lock(&mu_);
  mailbox_.push_back(std::move(message));
}

void Engine::Step(absl::Duration wait) {
  std::vector<Message> messages;
  {
    ports::MutexLock lock(&mu_);
    auto ready = [this]()
                     ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !mailbox_.empty() || stopping_; };
    mu_.AwaitFor(ready, UntilTimer(wait));
    messages.swap(mailbox_);
  }
  for (Message& message : messages) {
    std::visit([this](auto& m) { Handle(std::move(m)); }, message);
  }
  FireTimers();
  FillSlots();
  while (!local_.empty()) {
    CommandMessage message = std::move(local_.front());
    local_.pop_front();
    Handle(std::move(message));
  }
  Submit();
}

void Engine::StartRun(StartRequest request, std::function<void(absl::StatusOr<Started>)> done) {
  if (draining_flag_) return done(absl::UnavailableError("the daemon is shutting down"));
  if (!request.request_id.empty()) {
    auto found = world_.events.FindRequest(request.tenant, request.request_id);
    if (!found.ok()) return done(found.status());
    if (found->has_value()) {
      if ((*found)->hash == request.request_hash) return done(Started{(*found)->id, true});
      return done(absl::AlreadyExistsError("the request id was used for another request"));
    }
  }
  const run::RunId id = run::RunId::Make(world_.clock.Now(), world_.clock.Entropy());
  if (request.workspace_of) request.workspace = request.workspace_of(id);
  if (!request.sensitive.empty()) {
    // Sealed before the run exists: a run that is on disk can always go on.
    absl::Status sealed = world_.vault.Put(id, request.sensitive);
    if (!sealed.ok()) return done(sealed);
  }
  Post(StartMessage{id, std::move(request), std::move(done)});
}

void Engine::CancelRun(const run::RunId& run, std::string actor, std::string reason, bool force,
                       std::function<void(absl::Status)> done) {
  Post(CommandMessage{run,
                      {std::move(actor), 0, run::CancelRun{std::move(reason), force}},
                      std::move(done),
                      nullptr});
}

void Engine::DeleteRun(const run::RunId& run, std::function<void(absl::Status)> done) {
  writer_.Delete(run, std::move(done));
}

void Engine::Drain(absl::Duration grace) {
  draining_flag_ = true;
  Post(DrainMessage{});
  const absl::Time end = absl::Now() + grace;
  while (attempts_count_ > 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(10));
  // What the last attempts came to is on its way to the disk; Stop() waits for it.
}

Engine::Activity Engine::activity() const { return {runs_count_, attempts_count_, draining_flag_}; }

std::vector<std::string> Engine::problems() const {
  ports::MutexLock lock(&mu_);
  return problems_;
}

void Engine::AddProblem(std::string problem) {
  ports::MutexLock lock(&mu_);
  problems_.push_back(std::move(problem));
}

Engine::LiveRun* Engine::Find(const run::RunId& run) {
  auto found = runs_.find(run);
  return found == runs_.end() ? nullptr : found->second.get();
}

void Engine::Handle(StartMessage message) {
  StartRequest& request = message.request;
  const std::string key = absl::StrCat(request.tenant, "/", request.request_id);
  if (!request.request_id.empty()) {
    auto same = starting_.find(key);
    if (same != starting_.end()) {
      world_.vault.Forget(message.run);
      if (same->second.hash != request.request_hash) {
        return message.done(
            absl::AlreadyExistsError("the request id was used for another request"));
      }
      // It may not be on disk yet: answer with the batch that is being gathered, after it.
      const run::RunId run = same->second.run;
      gathering_.replies.push_back([done = std::move(message.done), run] {
        done(Started{run, true});
      });
      return;
    }
  }
  auto live = std::make_unique<LiveRun>(run::RunState(request.flow->plan));
  live->flow = request.flow;
  const flowspec::Flow& flow = request.flow->flow();
  run::StartRun wish{{message.run, request.tenant, request.project, flow.name, flow.digest,
                      run::Value(), request.labels, request.trace_id, request.workspace,
                      request.request_id, request.request_hash}};
  absl::StatusOr<run::Value> inputs = Spill(std::move(request.inputs_json), world_.blobs);
  if (!inputs.ok()) return message.done(inputs.status());
  wish.start.inputs = *std::move(inputs);
  auto events = run::Advance(live->state, {request.actor, 0, std::move(wish)}, world_.clock.Now());
  if (!events.ok()) return message.done(events.status());
  if (!request.request_id.empty()) {
    starting_.emplace(key, Starting{message.run, request.request_hash});
    starting_order_.push_back(key);
    if (starting_order_.size() > kRecentStartsMax) {
      starting_.erase(starting_order_.front());
      starting_order_.pop_front();
    }
  }
  Record(*live, *std::move(events), SourceOf(*request.flow));
  gathering_.replies.push_back([done = std::move(message.done), run = message.run] {
    done(Started{run, false});
  });
  runs_.emplace(message.run, std::move(live));
  CountRuns();
}

void Engine::Handle(CommandMessage message) {
  const bool cancel = std::holds_alternative<run::CancelRun>(message.command.wish);
  LiveRun* live = Find(message.run);
  if (live == nullptr) {
    if (!message.reply) return;
    const auto row = world_.events.GetRun(message.run);
    message.reply(row.ok() ? absl::FailedPreconditionError("the run is finished") : row.status());
    return;
  }
  const auto* resolution = std::get_if<run::ReportResolution>(&message.command.wish);
  if (resolution != nullptr && message.items != nullptr) {
    live->items[resolution->path] = message.items;
  }
  const absl::Time now = world_.clock.Now();
  auto events = run::Advance(live->state, message.command, now);
  if (!events.ok()) {
    if (resolution != nullptr) ReleaseSlot(*live, resolution->path);
    absl::Status status = events.status();
    if (cancel && absl::IsAlreadyExists(status)) status = absl::OkStatus();
    if (message.reply) message.reply(std::move(status));
    return;
  }
  Record(*live, *std::move(events), std::nullopt);
  if (message.reply) {
    gathering_.replies.push_back([reply = std::move(message.reply)] { reply(absl::OkStatus()); });
  }
}

void Engine::Handle(AttemptMessage message) {
  --attempts_count_;
  LiveRun* live = Find(message.run);
  if (live == nullptr) return;  // cancelled by force, and over
  const run::NodeIndex node = run::FindNode(live->state, message.report.path);
  const bool succeeded = message.report.outcome == run::Outcome::kSucceeded;
  const auto entropy = world_.clock.Entropy();
  uint64_t seed = 0;
  for (size_t i = 0; i < 8; ++i) seed = seed << 8 | entropy[i];
  CommandMessage command{message.run, {"system", seed, message.report}, {}, nullptr};
  const bool large = message.report.output.bytes() > kInlineBytesMax;
  if (node < 0 || !succeeded || (!large && !NeedsReshape(live->state.step_of(node)))) {
    return Handle(std::move(command));
  }
  auto job = std::make_shared<ReshapeJob>(
      MakeReshapeJob(live->flow, live->state, node, ItemsLoader(*live), world_.clock.Now()));
  aside_->Do([this, job, command = std::move(command)]() mutable {
    resolver_.Reshape(std::move(*job), &std::get<run::ReportAttempt>(command.command.wish));
    Post(std::move(command));
  });
}

void Engine::Handle(DrainMessage) {
  draining_ = true;
  waiting_.clear();
}

void Engine::CountRuns() { runs_count_ = runs_.size(); }

}  // namespace beamline::engine
