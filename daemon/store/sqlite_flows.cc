// Registered flows and their triggers, in the same database and by the same connection as runs.
#include "absl/strings/str_cat.h"
#include "daemon/store/flow_table.h"
#include "daemon/store/sqlite_store.h"
#include "daemon/store/trigger_table.h"

namespace beamline::store {

using ports::FlowVersion;
using ports::Registered;
using ports::Registration;

// Before the first append of the process.
absl::Status SqliteStore::LoadAwaited() {
  auto awaited = AwaitedFlows(db_);
  if (!awaited.ok()) return awaited.status();
  awaited_ = {awaited->begin(), awaited->end()};
  return absl::OkStatus();
}

absl::Status SqliteStore::Owe(int64_t run_no, const ports::RunRow& row) {
  if (awaited_.empty()) return absl::OkStatus();
  ports::RunRow ended = row;
  auto name =
      db_.Prepare("SELECT tenant, flow_name FROM runs WHERE run_no = ?1", {Param::Int(run_no)});
  if (!name.ok()) return name.status();
  if (auto found = name->Step(); !found.ok()) return found.status();
  ended.tenant = name->Text(0);
  ended.flow_name = name->Text(1);
  if (!awaited_.contains(absl::StrCat(ended.tenant, "/", ended.flow_name))) {
    return absl::OkStatus();
  }
  absl::StatusOr<int> owed = OweByRun(db_, ended);
  if (owed.ok()) owed_ += static_cast<uint64_t>(*owed);
  return owed.status();
}

absl::StatusOr<Registered> SqliteStore::Register(const Registration& registration) {
  if (!broken_.ok()) return broken_;
  Registered result{{registration.tenant, registration.flow.name, 0, registration.flow.digest,
                     registration.at, registration.actor, registration.workspace}};
  FlowVersion& version = result.version;
  auto earlier = FindFlowRequest(db_, version.tenant, registration.request_id);
  if (!earlier.ok()) return Latch(earlier.status());
  if (*earlier) {
    absl::Status same = CheckSameRequest(**earlier, version.name, version.digest);
    if (!same.ok()) return same;
    return Registered{**std::move(earlier), true};
  }
  auto current = SelectCurrentFlow(db_, version.tenant, version.name);
  if (!current.ok()) return Latch(current.status());
  result.existing = *current && (*current)->digest == version.digest &&
                    (*current)->workspace == version.workspace;
  if (result.existing) version = **std::move(current);
  absl::Status status = Transact([&] {
    if (result.existing) return InsertFlowRequest(db_, registration.request_id, version);
    absl::Status s = runs_.InsertFlow(registration.flow);
    for (const ports::FlowSource& part : registration.parts) {
      if (s.ok()) s = runs_.InsertFlow(part);
    }
    if (s.ok()) s = InsertFlowVersion(db_, &version);
    if (s.ok()) s = InsertFlowRequest(db_, registration.request_id, version);
    if (!s.ok()) return s;
    return ReplaceTriggers(db_, version.tenant, version.name, registration.triggers, version.at);
  });
  if (status.ok()) status = Latch(LoadAwaited());
  if (!status.ok()) return status;
  return result;
}

absl::Status SqliteStore::Remove(const Removal& removal) {
  if (!broken_.ok()) return broken_;
  auto earlier = FindFlowRequest(db_, removal.tenant, removal.request_id);
  if (!earlier.ok()) return Latch(earlier.status());
  if (*earlier) return CheckSameRequest(**earlier, removal.name, "");
  auto current = SelectCurrentFlow(db_, removal.tenant, removal.name);
  if (!current.ok()) return Latch(current.status());
  if (!*current) return FlowNotFound(removal.name);
  FlowVersion version{removal.tenant, removal.name, 0, "", removal.at, removal.actor};
  absl::Status status = Transact([&] {
    absl::Status s = InsertFlowVersion(db_, &version);
    if (s.ok()) s = InsertFlowRequest(db_, removal.request_id, version);
    if (!s.ok()) return s;
    return ReplaceTriggers(db_, removal.tenant, removal.name, {}, removal.at);
  });
  return status.ok() ? Latch(LoadAwaited()) : status;
}

absl::Status SqliteStore::Change(absl::Span<const ports::TriggerChange> changes) {
  if (!broken_.ok()) return broken_;
  if (changes.empty()) return absl::OkStatus();
  if (absl::Status s = BoundLog(); !s.ok()) return s;
  return Transact([&] {
    for (const ports::TriggerChange& change : changes) {
      if (absl::Status s = ApplyChange(db_, change); !s.ok()) return s;
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<FlowVersion> SqliteStore::CurrentFlow(const std::string& tenant,
                                                     const std::string& name) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  auto current = SelectCurrentFlow((*reader)->db, tenant, name);
  if (!current.ok()) return current.status();
  if (!*current) return FlowNotFound(name);
  return **std::move(current);
}

absl::StatusOr<std::vector<FlowVersion>> SqliteStore::ListFlows(
    const ports::FlowQuery& query) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return SelectFlows((*reader)->db, query);
}

absl::StatusOr<std::vector<FlowVersion>> SqliteStore::FlowHistory(const std::string& tenant,
                                                                  const std::string& name,
                                                                  uint64_t before,
                                                                  int limit) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return SelectFlowHistory((*reader)->db, tenant, name, before, limit);
}

absl::StatusOr<std::vector<FlowVersion>> SqliteStore::FindVersions(
    const std::string& tenant, const std::string& name, const std::string& digest_part) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return SelectVersions((*reader)->db, tenant, name, digest_part);
}

absl::StatusOr<std::vector<ports::TriggerRow>> SqliteStore::ListTriggers(
    const std::string& tenant, const std::string& name) const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return SelectTriggers((*reader)->db, tenant, name);
}

absl::StatusOr<std::vector<ports::DueStart>> SqliteStore::ListDue() const {
  auto reader = readers_.Lend();
  if (!reader.ok()) return reader.status();
  return SelectDue((*reader)->db);
}

}  // namespace beamline::store
