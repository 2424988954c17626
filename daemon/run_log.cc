// Lines about runs. Of a failure only its kind and exit code are logged: its message may quote what
// a step printed or an input.
#include "daemon/run_log.h"

#include <algorithm>
#include <variant>

#include "daemon/log.h"

namespace beamline::daemon {
namespace {

std::string LastId(const std::string& path) {
  std::string id = path.substr(path.rfind('/') + 1);
  id.resize(std::min(id.size(), id.find('[')));
  return id;
}

}  // namespace

absl::Status LoggedStore::Append(absl::Span<const ports::RunEvents> batch) {
  absl::Status status = store_.Append(batch);
  if (status.ok() && appended_) appended_();
  if (!status.ok() || !Logs(LogLevel::kWarn)) return status;
  for (const ports::RunEvents& run : batch) {
    for (const run::Event& event : run.events) LogEvent(run.id, event);
  }
  return status;
}

absl::Status LoggedStore::ReadUnfinished(
    const std::function<void(const ports::RunRow&, absl::StatusOr<std::vector<run::Event>>)>& each)
    const {
  return store_.ReadUnfinished(
      [&](const ports::RunRow& row, absl::StatusOr<std::vector<run::Event>> events) {
        if (events.ok() && !events->empty()) {
          if (const auto* started = std::get_if<run::RunStarted>(&events->front().fact)) {
            ports::MutexLock lock(&mu_);
            Remember(*started);
          }
        }
        each(row, std::move(events));
      });
}

void LoggedStore::Remember(const run::RunStarted& started) const {
  auto [place, added] = flow_index_.emplace(started.flow_digest, flows_.size());
  if (added) flows_.push_back({started.flow_name, started.flow_digest});
  Context& context = contexts_[started.run];
  started.trace_id.copy(context.trace_id.data(), context.trace_id.size());
  context.flow = place->second;
}

void LoggedStore::LogEvent(const run::RunId& id, const run::Event& event) {
  const auto* started = std::get_if<run::RunStarted>(&event.fact);
  const auto* finished = std::get_if<run::RunFinished>(&event.fact);
  const auto* attempt = std::get_if<run::AttemptFinished>(&event.fact);
  const auto* parked = std::get_if<run::StepParked>(&event.fact);
  if (attempt != nullptr && attempt->outcome == run::Outcome::kSucceeded) return;
  if (!started && !finished && !attempt && !parked) return;
  FlowName flow;
  std::string trace_id;
  {
    ports::MutexLock lock(&mu_);
    if (started != nullptr) Remember(*started);
    if (const auto known = contexts_.find(id); known != contexts_.end()) {
      flow = flows_[known->second.flow];
      trace_id.assign(known->second.trace_id.data(), known->second.trace_id.size());
      if (finished != nullptr) contexts_.erase(known);
    }
  }
  const std::string run = id.ToString();
  const LogField common[] = {{"run_id", run}, {"flow_id", flow.digest}, {"trace_id", trace_id}};
  if (started != nullptr) {
    Log(LogLevel::kInfo, "run started",
        {common[0], common[1], common[2], {"flow", flow.name}, {"actor", event.actor}});
  } else if (finished != nullptr) {
    Log(LogLevel::kInfo, "run finished",
        {common[0],
         common[1],
         common[2],
         {"flow", flow.name},
         {"status", run::StatusName(finished->status)},
         {"error", finished->error.kind}});
  } else if (attempt != nullptr) {
    Log(LogLevel::kWarn, "attempt failed",
        {common[0],
         common[1],
         common[2],
         {"step_id", LastId(attempt->path)},
         {"path", attempt->path},
         {"attempt", attempt->attempt},
         {"outcome", run::OutcomeName(attempt->outcome)},
         {"error", attempt->error.kind},
         {"exit_code", attempt->error.exit_code}});
  } else {
    Log(LogLevel::kWarn, "step parked",
        {common[0],
         common[1],
         common[2],
         {"step_id", LastId(parked->path)},
         {"path", parked->path},
         {"reason", parked->reason}});
  }
}

}  // namespace beamline::daemon
