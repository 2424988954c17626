// Checks a whole batch against what is there before it changes anything.
#include "daemon/store/memory_store.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "daemon/codec/event_codec.h"
#include "daemon/store/batch.h"
#include "daemon/store/dead_letter_table.h"
#include "daemon/store/labels.h"
#include "daemon/store/run_table.h"

namespace beamline::store {

using ports::RunEvents;
using ports::RunRow;

absl::Status MemoryStore::Append(absl::Span<const RunEvents> batch) {
  if (absl::Status s = CheckBatch(batch); !s.ok()) return s;
  ports::MutexLock lock(&mu_);
  if (absl::Status s = Check(batch); !s.ok()) return s;
  for (const RunEvents& events : batch) Add(events);
  return absl::OkStatus();
}

absl::Status MemoryStore::Check(absl::Span<const RunEvents> batch) const {
  std::map<run::RunId, uint64_t> last_seqs;  // as the batch moves them
  std::map<std::pair<std::string, std::string>, run::RunId> requests;
  for (const RunEvents& events : batch) {
    auto stored = runs_.find(events.id);
    const bool exists = stored != runs_.end() || last_seqs.contains(events.id);
    auto [last, first_time] =
        last_seqs.try_emplace(events.id, stored == runs_.end() ? 0 : stored->second.row.last_seq);
    if (last->second != events.expected_seq) {
      return exists ? RunMoved(events.id, events.expected_seq, last->second)
                    : absl::AbortedError(absl::StrCat("there is no run ", events.id.ToString()));
    }
    last->second += events.events.size();
    auto* start = std::get_if<run::RunStarted>(&events.events[0].fact);
    if (events.expected_seq != 0 || start == nullptr || start->request_id.empty()) continue;
    const std::pair key(events.row->tenant, start->request_id);
    if (requests_.contains(key) || !requests.emplace(key, events.id).second) {
      return absl::AbortedError(absl::StrCat("the request id ", start->request_id, " of run ",
                                             events.id.ToString(), " is there already"));
    }
  }
  return absl::OkStatus();
}

void MemoryStore::Add(const RunEvents& events) {
  Stored& run = runs_[events.id];
  if (events.expected_seq == 0) {
    run.row = CompleteRow(events);
    auto* start = std::get_if<run::RunStarted>(&events.events[0].fact);
    if (start != nullptr) run.request_hash = start->request_hash;
    if (start != nullptr && !start->request_id.empty()) {
      run.request_id = start->request_id;
      requests_[{run.row.tenant, run.request_id}] = events.id;
    }
  } else if (events.row) {
    const RunRow row = CompleteRow(events);
    run.row.status = row.status;
    run.row.finished_at = row.finished_at;
    run.row.error = row.error;
    run.row.wake_at = row.wake_at;
  }
  run.row.last_seq = events.events.back().seq;
  run.decisions.push_back(codec::EncodeEvents(events.events));
  run.last_seqs.push_back(run.row.last_seq);
  run.positions.push_back(++log_end_);
  log_[log_end_] = {events.id, run.decisions.size() - 1};
  for (const ports::FlowSource& flow : events.flows) flows_.try_emplace(flow.digest, flow);
  if (!events.key.empty()) {
    keys_[{run.row.tenant, events.key, run.row.flow_name}] = {events.id, events.key_hash};
  }
  for (const ports::CacheEntry& entry : events.cached) {
    cache_[{run.row.tenant, entry.key}] = {events.id, entry};
  }
  for (const run::DeadLetterChange& change : events.dead_letters) Apply(run, change);
  ApplyTasks(run.row, events.events);
  if (events.row && ports::IsFinished(run.row.status)) Owe(run.row);
}

void MemoryStore::Apply(Stored& run, const run::DeadLetterChange& change) {
  std::erase_if(run.letters, [&](const auto& letter) {
    const bool gone =
        change.below ? IsAtOrBelow(letter.first, change.path) : letter.first == change.path;
    if (gone) letters_.erase(letter.second);
    return gone;
  });
  if (!change.letter) return;
  const uint64_t number = ++last_letter_;
  letters_[number] = {number, run.row.id, run.row.flow_name, *change.letter};
  run.letters[change.path] = number;
}

absl::StatusOr<std::vector<ports::DeadLetterRow>> MemoryStore::ListDeadLetters(
    const ports::DeadLetterQuery& query) const {
  ports::MutexLock lock(&mu_);
  std::vector<ports::DeadLetterRow> rows;
  for (auto at = letters_.rbegin(); at != letters_.rend(); ++at) {
    if (static_cast<int>(rows.size()) >= query.limit) break;
    const bool tenant = runs_.at(at->second.run).row.tenant == query.tenant;
    if (tenant && Fits(at->second, query)) rows.push_back(at->second);
  }
  return rows;
}

absl::StatusOr<uint64_t> MemoryStore::CountDeadLetters(const std::string& tenant,
                                                       uint64_t max) const {
  ports::MutexLock lock(&mu_);
  const auto count = std::count_if(letters_.begin(), letters_.end(), [&](const auto& letter) {
    return runs_.at(letter.second.run).row.tenant == tenant;
  });
  return std::min(static_cast<uint64_t>(count), max);
}

absl::StatusOr<ports::DeadLetterRow> MemoryStore::GetDeadLetter(const std::string& tenant,
                                                                uint64_t number) const {
  ports::MutexLock lock(&mu_);
  const auto found = letters_.find(number);
  if (found == letters_.end() || runs_.at(found->second.run).row.tenant != tenant) {
    return DeadLetterNotFound(number);
  }
  return found->second;
}

absl::StatusOr<std::vector<run::Event>> MemoryStore::ReadStored(const Stored& run,
                                                                uint64_t after_seq,
                                                                size_t bytes_max) {
  std::vector<run::Event> events;
  size_t bytes = 0;
  auto first = std::upper_bound(run.last_seqs.begin(), run.last_seqs.end(), after_seq);
  for (size_t i = first - run.last_seqs.begin(); i < run.decisions.size(); ++i) {
    auto decision = codec::DecodeEvents(run.decisions[i]);
    if (!decision.ok()) return decision.status();
    for (run::Event& event : *decision) {
      if (event.seq > after_seq) events.push_back(std::move(event));
    }
    bytes += run.decisions[i].size();
    if (bytes >= bytes_max) break;
  }
  return events;
}

absl::StatusOr<std::vector<run::Event>> MemoryStore::Read(const run::RunId& id, uint64_t after_seq,
                                                          size_t bytes_max) const {
  ports::MutexLock lock(&mu_);
  auto run = runs_.find(id);
  if (run == runs_.end()) return RunNotFound(id);
  return ReadStored(run->second, after_seq, bytes_max);
}

absl::Status MemoryStore::ReadUnfinished(
    const std::function<void(const RunRow&, absl::StatusOr<std::vector<run::Event>>)>& each) const {
  std::vector<Stored> unfinished;  // copied, so that `each` may call this store
  {
    ports::MutexLock lock(&mu_);
    for (const auto& [id, run] : runs_) {
      if (!ports::IsFinished(run.row.status)) unfinished.push_back(run);
    }
  }
  for (const Stored& run : unfinished) {
    if (run.row.status == ports::RunStatus::kWaiting) {
      each(run.row, std::vector<run::Event>());
    } else {
      each(run.row, ReadStored(run, 0, std::numeric_limits<size_t>::max()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RunRow> MemoryStore::GetRun(const run::RunId& id) const {
  ports::MutexLock lock(&mu_);
  auto run = runs_.find(id);
  if (run == runs_.end()) return RunNotFound(id);
  return run->second.row;
}

absl::StatusOr<std::vector<RunRow>> MemoryStore::ListRuns(const ports::RunQuery& query) const {
  ports::MutexLock lock(&mu_);
  std::vector<RunRow> rows;
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (static_cast<int>(rows.size()) >= query.limit) break;
    const RunRow& row = run->second.row;
    const auto& wanted = query.statuses;
    if (row.tenant == query.tenant && (!query.before || row.id < *query.before) &&
        (query.flow_name.empty() || row.flow_name == query.flow_name) &&
        row.started_at >= query.since && HasLabels(row.labels, query.labels) &&
        (wanted.empty() || std::find(wanted.begin(), wanted.end(), row.status) != wanted.end())) {
      rows.push_back(row);
    }
  }
  return rows;
}

absl::StatusOr<std::vector<run::RunId>> MemoryStore::FindRuns(const std::string& tenant,
                                                              const std::string& part) const {
  ports::MutexLock lock(&mu_);
  std::vector<run::RunId> found;
  for (auto run = runs_.rbegin(); run != runs_.rend() && found.size() < kFoundRunsMax; ++run) {
    if (run->second.row.tenant == tenant && MatchesPart(run->first, part)) {
      found.push_back(run->first);
    }
  }
  return found;
}

absl::StatusOr<std::optional<ports::EventStore::Request>> MemoryStore::FindRequest(
    const std::string& tenant, const std::string& request_id) const {
  ports::MutexLock lock(&mu_);
  auto request = requests_.find({tenant, request_id});
  if (request == requests_.end()) return std::nullopt;
  return Request{request->second, runs_.at(request->second).request_hash};
}

absl::StatusOr<std::optional<ports::EventStore::Keyed>> MemoryStore::FindKey(
    const std::string& tenant, const std::string& flow_name, const std::string& key) const {
  ports::MutexLock lock(&mu_);
  auto keyed = keys_.find({tenant, key, flow_name});
  if (keyed == keys_.end()) return std::nullopt;
  const KeyOwner& owner = keyed->second;
  return Keyed{owner.id, owner.hash, runs_.at(owner.id).row.started_at};
}

absl::StatusOr<std::vector<run::RunId>> MemoryStore::FindKeyed(const std::string& tenant,
                                                               const std::string& key) const {
  ports::MutexLock lock(&mu_);
  std::vector<run::RunId> runs;
  for (auto at = keys_.lower_bound({tenant, key, ""});
       at != keys_.end() && std::get<0>(at->first) == tenant && std::get<1>(at->first) == key;
       ++at) {
    runs.push_back(at->second.id);
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

absl::StatusOr<std::optional<ports::EventStore::Cached>> MemoryStore::FindCached(
    const std::string& tenant, const std::string& key) const {
  ports::MutexLock lock(&mu_);
  auto cached = cache_.find({tenant, key});
  if (cached == cache_.end()) return std::nullopt;
  return cached->second;
}

absl::StatusOr<ports::FlowSource> MemoryStore::GetFlow(const std::string& digest) const {
  ports::MutexLock lock(&mu_);
  auto flow = flows_.find(digest);
  if (flow == flows_.end()) return absl::NotFoundError("no flow with the digest " + digest);
  return flow->second;
}

absl::Status MemoryStore::DeleteRun(const run::RunId& id) {
  ports::MutexLock lock(&mu_);
  auto run = runs_.find(id);
  if (run == runs_.end()) return RunNotFound(id);
  if (!ports::IsFinished(run->second.row.status)) return RunNotFinished(id);
  requests_.erase({run->second.row.tenant, run->second.request_id});
  std::erase_if(keys_, [&](const auto& entry) { return entry.second.id == id; });
  std::erase_if(cache_, [&](const auto& entry) { return entry.second.id == id; });
  for (const auto& [path, number] : run->second.letters) letters_.erase(number);
  for (const uint64_t position : run->second.positions) log_.erase(position);
  std::erase_if(tasks_, [&](const auto& entry) { return entry.second.row.run == id; });
  runs_.erase(run);
  return absl::OkStatus();
}

}  // namespace beamline::store
