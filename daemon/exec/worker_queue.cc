// Lines, lanes and leases. What became untrue elsewhere (a worker that is full by now, a lane that
// is empty) is found out when it is looked at, so that nothing has to be searched for.
#include "daemon/exec/worker_queue.h"

#include <algorithm>

#include "flowspec/check.h"

namespace beamline::exec {

void WorkerQueue::Add(JobId id, const LineName& line, const run::RunId& run, uint64_t epoch_base,
                      absl::Duration heartbeat) {
  Job job;
  job.line = LineFor(line);
  job.run = run;
  job.epoch = epoch_base;
  job.heartbeat = heartbeat;
  CHECK(id != 0 && jobs_.emplace(id, job).second);
  Enqueue(id, /*first=*/false);
}

bool WorkerQueue::Withdraw(JobId id) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || job->second.worker != 0) return false;
  const LineNo line = job->second.line;
  Unlink(id);
  jobs_.erase(job);
  DropIfUnused(line);
  return true;
}

void WorkerQueue::Attach(WorkerNo number, const std::string& tenant,
                         const std::vector<std::pair<std::string, std::string>>& serves,
                         int32_t credit, absl::Time now) {
  const auto [place, added] = workers_.try_emplace(number);
  CHECK(number != 0 && added);
  Worker& worker = place->second;
  worker.credit = credit;
  worker.heard_at = now;
  for (const auto& [queue, task] : serves) {
    const LineNo line = LineFor({tenant, queue, task});
    ++lines_.at(line)->workers;
    worker.serves.push_back({line});
  }
  Offer(number, worker);
}

std::vector<WorkerQueue::Ended> WorkerQueue::Detach(WorkerNo number) {
  const auto place = workers_.find(number);
  if (place == workers_.end()) return {};
  Worker& worker = place->second;
  std::vector<Ended> ended;
  for (JobId id : worker.jobs) {
    Job& job = jobs_.at(id);
    ended.push_back({id, job.given_up});
    ClearAlarm(id, job);
    jobs_.erase(id);
  }
  for (const Serve& serve : worker.serves) {
    Line& line = *lines_.at(serve.line);
    --line.workers;
    if (serve.listed) {
      line.ready.erase(std::find(line.ready.begin(), line.ready.end(), number));
    }
    DropIfUnused(serve.line);
  }
  workers_.erase(place);
  return ended;
}

void WorkerQueue::Hear(WorkerNo number, absl::Time now) {
  const auto worker = workers_.find(number);
  if (worker == workers_.end()) return;
  worker->second.heard_at = now;
  if (!worker->second.silent) return;
  worker->second.silent = false;
  Offer(number, worker->second);
}

void WorkerQueue::SetCredit(WorkerNo number, int32_t credit) {
  const auto worker = workers_.find(number);
  if (worker == workers_.end()) return;
  worker->second.credit = credit;
  Offer(number, worker->second);
}

void WorkerQueue::Drain(WorkerNo number) {
  const auto worker = workers_.find(number);
  if (worker != workers_.end()) worker->second.draining = true;
}

std::optional<WorkerQueue::Grant> WorkerQueue::Next(absl::Time now) {
  while (!runnable_.empty()) {
    const LineNo number = runnable_.front();
    runnable_.pop_front();
    const auto place = lines_.find(number);
    if (place == lines_.end()) continue;
    Line& line = *place->second;
    line.runnable = false;
    if (line.waiting == 0) continue;
    const std::optional<WorkerNo> chosen = TakeWorker(line, number, now);
    if (!chosen) continue;
    const JobId id = *TakeFirst(line);
    Job& job = jobs_.at(id);
    Worker& worker = workers_.at(*chosen);
    job.worker = *chosen;
    ++job.epoch;
    worker.jobs.insert(id);
    ++worker.heartbeats[job.heartbeat];
    if (line.waiting > 0 && !line.ready.empty()) MarkRunnable(number, line);
    return Grant{id, *chosen, job.epoch};
  }
  return std::nullopt;
}

uint64_t WorkerQueue::LeaseOf(WorkerNo worker, JobId id) const {
  const auto job = jobs_.find(id);
  return job == jobs_.end() || job->second.worker != worker ? 0 : job->second.epoch;
}

void WorkerQueue::Finish(JobId id) {
  const auto place = jobs_.find(id);
  CHECK(place != jobs_.end() && place->second.worker != 0);
  Job& job = place->second;
  const WorkerNo number = job.worker;
  Worker& worker = workers_.at(number);
  EndHeartbeat(worker, job);
  ClearAlarm(id, job);
  worker.jobs.erase(id);
  jobs_.erase(place);
  Offer(number, worker);
}

void WorkerQueue::Return(JobId id, absl::Time now, absl::Duration rest) {
  Job& job = jobs_.at(id);
  CHECK(job.worker != 0 && !job.given_up);
  Worker& worker = workers_.at(job.worker);
  EndHeartbeat(worker, job);
  ClearAlarm(id, job);
  worker.jobs.erase(id);
  worker.rests_until = now + rest;
  job.worker = 0;
  Enqueue(id, /*first=*/true);
}

void WorkerQueue::GiveUp(JobId id) {
  Job& job = jobs_.at(id);
  CHECK(job.worker != 0);
  EndHeartbeat(workers_.at(job.worker), job);
  ClearAlarm(id, job);
  job.given_up = true;
}

void WorkerQueue::SetAlarm(JobId id, absl::Time at) {
  Job& job = jobs_.at(id);
  CHECK(job.worker != 0);
  ClearAlarm(id, job);
  job.alarm = at;
  if (at != absl::InfiniteFuture()) alarms_.emplace(at, id);
}

WorkerQueue::Expired WorkerQueue::Expire(absl::Time now) {
  Expired expired;
  for (auto& [number, worker] : workers_) {
    const absl::Duration silence = now - worker.heard_at;
    if (!worker.heartbeats.empty() && silence >= worker.heartbeats.begin()->first) {
      for (JobId id : worker.jobs) {
        const Job& job = jobs_.at(id);
        if (!job.given_up && silence >= job.heartbeat) expired.silent.push_back(id);
      }
      worker.silent = true;
    }
    if (silence >= silence_max_) worker.silent = true;
    if (worker.rests_until != absl::InfinitePast() && worker.rests_until <= now) {
      worker.rests_until = absl::InfinitePast();
      Offer(number, worker);
    }
  }
  for (JobId id : expired.silent) GiveUp(id);
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    const JobId id = alarms_.begin()->second;
    ClearAlarm(id, jobs_.at(id));
    expired.alarms.push_back(id);
  }
  return expired;
}

absl::Time WorkerQueue::NextLook() const {
  absl::Time next = alarms_.empty() ? absl::InfiniteFuture() : alarms_.begin()->first;
  for (const auto& [number, worker] : workers_) {
    if (!worker.heartbeats.empty()) {
      next = std::min(next, worker.heard_at + worker.heartbeats.begin()->first);
    }
    if (!worker.silent) next = std::min(next, worker.heard_at + silence_max_);
    if (worker.rests_until != absl::InfinitePast()) next = std::min(next, worker.rests_until);
  }
  return next;
}

void WorkerQueue::Forgive(absl::Time now) {
  for (auto& [number, worker] : workers_) worker.heard_at = now;
}

std::vector<WorkerQueue::LineStatus> WorkerQueue::Lines() const {
  std::vector<LineStatus> all;
  for (const auto& [number, line] : lines_) {
    LineStatus status{line->name, line->waiting, line->workers, std::nullopt};
    for (const run::RunId& run : line->turn) {
      const JobId first = line->lanes.at(run).first;
      if (first == 0) continue;
      status.first = first;
      break;
    }
    all.push_back(std::move(status));
  }
  std::sort(all.begin(), all.end(),
            [](const LineStatus& a, const LineStatus& b) { return a.name < b.name; });
  return all;
}

WorkerQueue::WorkerState WorkerQueue::Describe(WorkerNo number) const {
  const Worker& worker = workers_.at(number);
  return {worker.credit,
          worker.heard_at,
          worker.draining,
          worker.silent,
          {worker.jobs.begin(), worker.jobs.end()}};
}

bool WorkerQueue::IsGivenUp(JobId id) const {
  const auto job = jobs_.find(id);
  return job != jobs_.end() && job->second.given_up;
}

WorkerQueue::LineNo WorkerQueue::LineFor(const LineName& name) {
  const auto [place, added] = line_numbers_.try_emplace(name, last_line_ + 1);
  if (added) {
    lines_.emplace(++last_line_, std::make_unique<Line>()).first->second->name = name;
  }
  return place->second;
}

void WorkerQueue::DropIfUnused(LineNo number) {
  const Line& line = *lines_.at(number);
  if (line.waiting > 0 || line.workers > 0) return;
  line_numbers_.erase(line.name);
  lines_.erase(number);
}

void WorkerQueue::Enqueue(JobId id, bool first) {
  Job& job = jobs_.at(id);
  Line& line = *lines_.at(job.line);
  const auto [place, added] = line.lanes.try_emplace(job.run);
  Lane& lane = place->second;
  if (added && first) line.turn.push_front(job.run);
  if (added && !first) line.turn.push_back(job.run);
  job.before = first ? 0 : lane.last;
  job.behind = first ? lane.first : 0;
  (job.before == 0 ? lane.first : jobs_.at(job.before).behind) = id;
  (job.behind == 0 ? lane.last : jobs_.at(job.behind).before) = id;
  ++line.waiting;
  ++waiting_;
  if (!line.ready.empty()) MarkRunnable(job.line, line);
}

void WorkerQueue::Unlink(JobId id) {
  Job& job = jobs_.at(id);
  Line& line = *lines_.at(job.line);
  Lane& lane = line.lanes.at(job.run);
  (job.before == 0 ? lane.first : jobs_.at(job.before).behind) = job.behind;
  (job.behind == 0 ? lane.last : jobs_.at(job.behind).before) = job.before;
  job.before = job.behind = 0;
  --line.waiting;
  --waiting_;
}

std::optional<WorkerQueue::JobId> WorkerQueue::TakeFirst(Line& line) {
  while (!line.turn.empty()) {
    const run::RunId run = line.turn.front();
    line.turn.pop_front();
    const auto lane = line.lanes.find(run);
    const JobId id = lane->second.first;
    if (id != 0) Unlink(id);
    if (lane->second.first != 0) {
      line.turn.push_back(run);
    } else {
      line.lanes.erase(lane);
    }
    if (id != 0) return id;
  }
  return std::nullopt;
}

bool WorkerQueue::HasRoom(const Worker& worker, absl::Time now) const {
  return !worker.draining && !worker.silent && worker.rests_until <= now &&
         worker.jobs.size() < static_cast<size_t>(worker.credit);
}

std::optional<WorkerQueue::WorkerNo> WorkerQueue::TakeWorker(Line& line, LineNo number,
                                                             absl::Time now) {
  while (!line.ready.empty()) {
    const WorkerNo chosen = line.ready.front();
    line.ready.pop_front();
    Worker& worker = workers_.at(chosen);
    const bool room = HasRoom(worker, now);
    if (room && worker.jobs.size() + 1 < static_cast<size_t>(worker.credit)) {
      line.ready.push_back(chosen);
    } else {
      for (Serve& serve : worker.serves) {
        if (serve.line == number) serve.listed = false;
      }
    }
    if (room) return chosen;
  }
  return std::nullopt;
}

void WorkerQueue::Offer(WorkerNo number, Worker& worker) {
  if (worker.rests_until != absl::InfinitePast() || !HasRoom(worker, absl::InfiniteFuture())) {
    return;
  }
  for (Serve& serve : worker.serves) {
    Line& line = *lines_.at(serve.line);
    if (!serve.listed) line.ready.push_back(number);
    serve.listed = true;
    if (line.waiting > 0) MarkRunnable(serve.line, line);
  }
}

void WorkerQueue::MarkRunnable(LineNo number, Line& line) {
  if (line.runnable) return;
  line.runnable = true;
  runnable_.push_back(number);
}

void WorkerQueue::EndHeartbeat(Worker& worker, const Job& job) {
  if (job.given_up) return;
  const auto count = worker.heartbeats.find(job.heartbeat);
  if (--count->second == 0) worker.heartbeats.erase(count);
}

void WorkerQueue::ClearAlarm(JobId id, Job& job) {
  if (job.alarm != absl::InfiniteFuture()) alarms_.erase({job.alarm, id});
  job.alarm = absl::InfiniteFuture();
}

}  // namespace beamline::exec
