// The mailbox, the turn of the loop and the commands.
#include "daemon/engine/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/engine/ask.h"
#include "daemon/run/decide.h"

namespace beamline::engine {
namespace {

// A question that is asked for the first time gets a number; each gets the artifact that it shows.
void PrepareAsk(const run::RunState& state, StepArtifacts& artifacts, const ItemsOf& items_of,
                uint64_t* last_task, run::ReportResolution* report) {
  const run::NodeIndex node = run::FindNode(state, report->path);
  if (!state.tasks.contains(node)) report->ask->task = ++*last_task;
  if (node < 0 || !report->error.ok() || !ShowsArtifact(*report->ask)) return;
  report->error = ShowArtifact(artifacts.VisibleTo(state, node, items_of), &*report->ask);
}

}  // namespace

Engine::Engine(World world, EngineOptions options)
    : world_(world),
      options_(std::move(options)),
      resolver_(world.evaluator, world.blobs, world.events, world.meter),
      writer_(world.events),
      last_task_(options_.last_task),
      slots_free_(options_.attempts_max),
      reads_(std::make_unique<Aside>(1)),
      aside_(std::make_unique<Aside>(2)) {}

Engine::~Engine() { Stop(); }

void Engine::Stop() {
  if (aside_ != nullptr) WaitForEvaluations();  // what they come to is still recorded
  {
    ports::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  reads_.reset();
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

void Engine::PostAll(std::vector<Message> messages) {
  ports::MutexLock lock(&mu_);
  mailbox_.insert(mailbox_.end(), std::make_move_iterator(messages.begin()),
                  std::make_move_iterator(messages.end()));
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
  LoadRuns();
  Submit();
}

void Engine::Command(const run::RunId& run, std::string actor, run::Wish wish,
                     std::function<void(absl::Status)> done) {
  Post(CommandMessage{run, {std::move(actor), 0, std::move(wish)}, std::move(done), nullptr});
}

void Engine::CancelRun(const run::RunId& run, std::string actor, std::string reason, bool force,
                       std::function<void(absl::Status)> done) {
  Command(run, std::move(actor), run::CancelRun{std::move(reason), force}, std::move(done));
}

void Engine::SignalRun(const run::RunId& run, std::string actor, std::string name,
                       std::string payload, std::string id,
                       std::function<void(absl::Status)> done) {
  Command(run, std::move(actor),
          run::SendSignal{std::move(name), run::Value::Json(std::move(payload)), std::move(id)},
          std::move(done));
}

void Engine::Intervene(const run::RunId& run, std::string actor, run::Wish wish,
                       std::function<void(absl::Status)> done) {
  Command(run, std::move(actor), std::move(wish), std::move(done));
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
  const bool known = std::find(problems_.begin(), problems_.end(), problem) != problems_.end();
  if (!known) problems_.push_back(std::move(problem));
}

Engine::LiveRun* Engine::Find(const run::RunId& run) {
  auto found = runs_.find(run);
  return found == runs_.end() ? nullptr : found->second.get();
}

void Engine::Handle(CommandMessage message) {
  LiveRun* live = Find(message.run);
  if (live == nullptr) {
    const auto [waiting, fresh] = loading_.try_emplace(message.run);
    waiting->second.push_back(std::move(message));
    if (fresh) to_load_.push_back(waiting->first);
    return;
  }
  if (AwaitTurn(*live, message)) return;
  auto* resolution = std::get_if<run::ReportResolution>(&message.command.wish);
  if (resolution != nullptr && resolution->ask) {
    PrepareAsk(live->state, live->artifacts, ItemsLoader(*live), &last_task_, resolution);
  }
  if (resolution != nullptr && message.items != nullptr) {
    live->items[resolution->path] = message.items;
  }
  const absl::Time now = world_.clock.Now();
  auto events = run::Advance(live->state, message.command, now);
  if (!events.ok()) {
    if (resolution != nullptr) {
      ReleaseSlot(*live, resolution->path);
      LeaveTurn(*live, resolution->path);
    }
    absl::Status status = events.status();
    // Only of wishes that are repeated: what was wished is so.
    if (absl::IsAlreadyExists(status)) status = absl::OkStatus();
    if (message.reply) {  // it may rest on what is not on disk yet
      gathering_.replies.push_back(
          [reply = std::move(message.reply), status = std::move(status)] { reply(status); });
    }
    return ParkIfIdle(*live);  // of a paused run, this may have been the last thing under way
  }
  Record(*live, *std::move(events));
  if (message.reply) {
    gathering_.replies.push_back([reply = std::move(message.reply)] { reply(absl::OkStatus()); });
  }
}

void Engine::Handle(AttemptMessage message) {
  if (message.counted) --attempts_count_;
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

void Engine::CountRuns() { runs_count_ = runs_.size() + parked_count_; }

}  // namespace beamline::engine
