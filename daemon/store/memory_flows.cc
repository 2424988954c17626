// Registered flows and their triggers in memory.
#include <algorithm>

#include "absl/strings/match.h"
#include "daemon/store/flow_table.h"
#include "daemon/store/memory_store.h"

namespace beamline::store {

using ports::FlowVersion;
using ports::Registered;
using ports::Registration;
using ports::TriggerRow;
using ports::TriggerSpec;

const FlowVersion* MemoryStore::Current(const Name& name) const {
  auto versions = versions_.find(name);
  if (versions == versions_.end() || versions->second.back().digest.empty()) return nullptr;
  return &versions->second.back();
}

void MemoryStore::AddVersion(FlowVersion* version, const std::string& request_id) {
  std::vector<FlowVersion>& versions = versions_[{version->tenant, version->name}];
  version->version = versions.size() + 1;
  versions.push_back(*version);
  if (!request_id.empty()) flow_requests_.emplace(Name(version->tenant, request_id), *version);
}

void MemoryStore::ReplaceTriggers(const Name& name, const std::vector<TriggerSpec>& specs,
                                  absl::Time at) {
  const auto of_name = [&](const TriggerRow& row) {
    return row.tenant == name.first && row.flow == name.second;
  };
  for (auto old = triggers_.begin(); old != triggers_.end();) {
    const TriggerRow& row = old->second;
    const bool stays =
        !of_name(row) || std::any_of(specs.begin(), specs.end(), [&](const TriggerSpec& spec) {
          return spec.key == row.spec.key;
        });
    if (!stays) {
      std::erase_if(due_, [&](const auto& due) { return due.second.trigger == row.no; });
    }
    old = stays ? std::next(old) : triggers_.erase(old);
  }
  for (const TriggerSpec& spec : specs) {
    auto old = std::find_if(triggers_.begin(), triggers_.end(), [&](const auto& entry) {
      return of_name(entry.second) && entry.second.spec.key == spec.key;
    });
    if (old == triggers_.end()) {
      TriggerRow row{.no = ++last_trigger_, .tenant = name.first, .flow = name.second};
      row.cursor = at;
      old = triggers_.emplace(row.no, std::move(row)).first;
    }
    old->second.spec = spec;
  }
}

void MemoryStore::Owe(const ports::RunRow& row) {
  for (const auto& [no, trigger] : triggers_) {
    if (trigger.spec.kind != "flow" || trigger.tenant != row.tenant ||
        trigger.spec.what != row.flow_name || !ports::Wanted(trigger.spec.run_when, row.status)) {
      continue;
    }
    ++last_due_;
    due_.emplace(last_due_, ports::DueStart{last_due_, no, row.finished_at, row.id});
    ++due_by_runs_;
  }
}

absl::StatusOr<Registered> MemoryStore::Register(const Registration& registration) {
  ports::MutexLock lock(&mu_);
  const std::string& name = registration.flow.name;
  auto earlier = flow_requests_.find({registration.tenant, registration.request_id});
  if (earlier != flow_requests_.end()) {
    absl::Status same = CheckSameRequest(earlier->second, name, registration.flow.digest);
    if (!same.ok()) return same;
    return Registered{earlier->second, true};
  }
  const FlowVersion* current = Current({registration.tenant, name});
  if (current != nullptr && current->digest == registration.flow.digest &&
      current->workspace == registration.workspace) {
    if (!registration.request_id.empty()) {
      flow_requests_.emplace(Name(registration.tenant, registration.request_id), *current);
    }
    return Registered{*current, true};
  }
  Registered result{{registration.tenant, name, 0, registration.flow.digest, registration.at,
                     registration.actor, registration.workspace}};
  flows_.try_emplace(registration.flow.digest, registration.flow);
  for (const ports::FlowSource& part : registration.parts) flows_.try_emplace(part.digest, part);
  AddVersion(&result.version, registration.request_id);
  ReplaceTriggers({registration.tenant, name}, registration.triggers, registration.at);
  return result;
}

absl::Status MemoryStore::Remove(const Removal& removal) {
  ports::MutexLock lock(&mu_);
  auto earlier = flow_requests_.find({removal.tenant, removal.request_id});
  if (earlier != flow_requests_.end()) return CheckSameRequest(earlier->second, removal.name, "");
  if (Current({removal.tenant, removal.name}) == nullptr) return FlowNotFound(removal.name);
  FlowVersion version{removal.tenant, removal.name, 0, "", removal.at, removal.actor};
  AddVersion(&version, removal.request_id);
  ReplaceTriggers({removal.tenant, removal.name}, {}, removal.at);
  return absl::OkStatus();
}

absl::Status MemoryStore::Change(absl::Span<const ports::TriggerChange> changes) {
  ports::MutexLock lock(&mu_);
  for (const ports::TriggerChange& change : changes) {
    auto trigger = triggers_.find(change.trigger);
    if (trigger == triggers_.end()) continue;
    TriggerRow& row = trigger->second;
    if (change.cursor) row.cursor = *change.cursor;
    if (change.last) row.last = *change.last;
    if (change.run) row.run = change.run;
    for (absl::Time at : change.owe) {
      ++last_due_;
      due_.emplace(last_due_, ports::DueStart{last_due_, change.trigger, at, std::nullopt});
    }
    for (uint64_t no : change.settle) due_.erase(no);
  }
  return absl::OkStatus();
}

absl::StatusOr<FlowVersion> MemoryStore::CurrentFlow(const std::string& tenant,
                                                     const std::string& name) const {
  ports::MutexLock lock(&mu_);
  const FlowVersion* current = Current({tenant, name});
  if (current == nullptr) return FlowNotFound(name);
  return *current;
}

absl::StatusOr<std::vector<FlowVersion>> MemoryStore::ListFlows(
    const ports::FlowQuery& query) const {
  ports::MutexLock lock(&mu_);
  std::vector<FlowVersion> flows;
  for (auto at = versions_.upper_bound({query.tenant, query.after}); at != versions_.end(); ++at) {
    if (at->first.first != query.tenant || static_cast<int>(flows.size()) >= query.limit) break;
    if (const FlowVersion* current = Current(at->first)) flows.push_back(*current);
  }
  return flows;
}

absl::StatusOr<std::vector<FlowVersion>> MemoryStore::FlowHistory(const std::string& tenant,
                                                                  const std::string& name,
                                                                  uint64_t before,
                                                                  int limit) const {
  ports::MutexLock lock(&mu_);
  std::vector<FlowVersion> history;
  auto versions = versions_.find({tenant, name});
  if (versions == versions_.end()) return history;
  const std::vector<FlowVersion>& all = versions->second;
  for (auto at = all.rbegin(); at != all.rend() && static_cast<int>(history.size()) < limit; ++at) {
    if (before == 0 || at->version < before) history.push_back(*at);
  }
  return history;
}

absl::StatusOr<std::vector<FlowVersion>> MemoryStore::FindVersions(
    const std::string& tenant, const std::string& name, const std::string& digest_part) const {
  ports::MutexLock lock(&mu_);
  std::map<std::string, FlowVersion> newest;  // by digest
  for (const auto& [key, versions] : versions_) {
    if (key.first != tenant || (!name.empty() && key.second != name)) continue;
    for (const FlowVersion& version : versions) {
      if (version.digest.empty() || !absl::StartsWith(version.digest, digest_part)) continue;
      FlowVersion& best = newest[version.digest];
      if (best.digest.empty() || best.at < version.at) best = version;
    }
  }
  std::vector<FlowVersion> found;
  for (auto& [digest, version] : newest) found.push_back(std::move(version));
  std::stable_sort(found.begin(), found.end(),
                   [](const FlowVersion& a, const FlowVersion& b) { return a.at > b.at; });
  if (found.size() > kFoundVersionsMax) found.resize(kFoundVersionsMax);
  return found;
}

absl::StatusOr<std::vector<TriggerRow>> MemoryStore::ListTriggers(const std::string& tenant,
                                                                  const std::string& name) const {
  ports::MutexLock lock(&mu_);
  std::vector<TriggerRow> rows;
  for (const auto& [no, trigger] : triggers_) {
    if (!name.empty() && (trigger.tenant != tenant || trigger.flow != name)) continue;
    const FlowVersion* current = Current({trigger.tenant, trigger.flow});
    if (current == nullptr) continue;
    rows.push_back(trigger);
    rows.back().digest = current->digest;
    rows.back().workspace = current->workspace;
  }
  if (!name.empty()) {
    std::sort(rows.begin(), rows.end(),
              [](const TriggerRow& a, const TriggerRow& b) { return a.spec.index < b.spec.index; });
  }
  return rows;
}

absl::StatusOr<std::vector<ports::DueStart>> MemoryStore::ListDue() const {
  ports::MutexLock lock(&mu_);
  std::vector<ports::DueStart> due;
  for (const auto& [no, start] : due_) due.push_back(start);
  return due;
}

}  // namespace beamline::store
