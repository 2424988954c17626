// The SQL of registered flows.
#include "daemon/store/flow_table.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

using ports::FlowVersion;

constexpr char kColumns[] = "tenant, name, version, digest, at, actor, workspace";

absl::StatusOr<std::vector<FlowVersion>> ReadVersions(absl::StatusOr<Statement> select) {
  if (!select.ok()) return select.status();
  std::vector<FlowVersion> versions;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return versions;
    FlowVersion& version = versions.emplace_back();
    version.tenant = select->Text(0);
    version.name = select->Text(1);
    version.version = static_cast<uint64_t>(select->Int(2));
    version.digest = select->Text(3);
    version.at = absl::FromUnixNanos(select->Int(4));
    version.actor = select->Text(5);
    version.workspace = select->Text(6);
  }
}

absl::StatusOr<std::optional<FlowVersion>> First(absl::StatusOr<std::vector<FlowVersion>> found) {
  if (!found.ok()) return found.status();
  if (found->empty()) return std::nullopt;
  return std::move(found->front());
}

}  // namespace

absl::StatusOr<std::optional<FlowVersion>> FindFlowRequest(Connection& db,
                                                           const std::string& tenant,
                                                           const std::string& request_id) {
  if (request_id.empty()) return std::nullopt;
  return First(ReadVersions(
      db.Prepare("SELECT v.tenant, v.name, v.version, v.digest, v.at, v.actor, v.workspace "
                 "FROM flow_requests r JOIN flow_versions v USING (tenant, name, version) "
                 "WHERE r.tenant = ?1 AND r.request_id = ?2",
                 {Param::Text(tenant), Param::Text(request_id)})));
}

absl::Status InsertFlowVersion(Connection& db, FlowVersion* version) {
  auto last = First(
      ReadVersions(db.Prepare(absl::StrCat("SELECT ", kColumns,
                                           " FROM flow_versions WHERE tenant = ?1 AND name = ?2 "
                                           "ORDER BY version DESC LIMIT 1"),
                              {Param::Text(version->tenant), Param::Text(version->name)})));
  if (!last.ok()) return last.status();
  version->version = *last ? (*last)->version + 1 : 1;
  const bool removed = version->digest.empty();
  const Param tenant = Param::Text(version->tenant), name = Param::Text(version->name);
  const Param number = Param::Int(static_cast<int64_t>(version->version));
  absl::Status status = db.Run(
      "INSERT INTO flow_versions (tenant, name, version, digest, at, actor, workspace) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      {tenant, name, number, removed ? Param::Null() : Param::Text(version->digest),
       Param::Int(absl::ToUnixNanos(version->at)), Param::Text(version->actor),
       Param::Text(version->workspace)});
  if (!status.ok()) return status;
  if (removed) {
    return db.Run("DELETE FROM registered_flows WHERE tenant = ?1 AND name = ?2", {tenant, name});
  }
  return db.Run(
      "INSERT OR REPLACE INTO registered_flows (tenant, name, version) "
      "VALUES (?1, ?2, ?3)",
      {tenant, name, number});
}

absl::Status InsertFlowRequest(Connection& db, const std::string& request_id,
                               const FlowVersion& version) {
  if (request_id.empty()) return absl::OkStatus();
  return db.Run(
      "INSERT INTO flow_requests (tenant, request_id, name, version) "
      "VALUES (?1, ?2, ?3, ?4)",
      {Param::Text(version.tenant), Param::Text(request_id), Param::Text(version.name),
       Param::Int(static_cast<int64_t>(version.version))});
}

absl::StatusOr<std::optional<FlowVersion>> SelectCurrentFlow(Connection& db,
                                                             const std::string& tenant,
                                                             const std::string& name) {
  return First(ReadVersions(db.Prepare(
      absl::StrCat("SELECT ", kColumns,
                   " FROM registered_flows JOIN flow_versions USING (tenant, name, version) "
                   "WHERE tenant = ?1 AND name = ?2"),
      {Param::Text(tenant), Param::Text(name)})));
}

absl::StatusOr<std::vector<FlowVersion>> SelectFlows(Connection& db,
                                                     const ports::FlowQuery& query) {
  return ReadVersions(db.Prepare(
      absl::StrCat("SELECT ", kColumns,
                   " FROM registered_flows JOIN flow_versions USING (tenant, name, version) "
                   "WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3"),
      {Param::Text(query.tenant), Param::Text(query.after), Param::Int(query.limit)}));
}

absl::StatusOr<std::vector<FlowVersion>> SelectFlowHistory(Connection& db,
                                                           const std::string& tenant,
                                                           const std::string& name, uint64_t before,
                                                           int limit) {
  constexpr int64_t kNewest = std::numeric_limits<int64_t>::max();
  const bool all = before == 0 || before > static_cast<uint64_t>(kNewest);
  return ReadVersions(db.Prepare(
      absl::StrCat("SELECT ", kColumns,
                   " FROM flow_versions WHERE tenant = ?1 AND name = ?2 AND version < ?3 "
                   "ORDER BY version DESC LIMIT ?4"),
      {Param::Text(tenant), Param::Text(name),
       Param::Int(all ? kNewest : static_cast<int64_t>(before)), Param::Int(limit)}));
}

absl::StatusOr<std::vector<FlowVersion>> SelectVersions(Connection& db, const std::string& tenant,
                                                        const std::string& name,
                                                        const std::string& digest_part) {
  const std::string end = digest_part + "g";  // after every hexadecimal digit
  const std::string of_name = name.empty() ? "" : " AND name = ?4";
  const std::string sql = absl::StrCat(
      "SELECT ", kColumns, ", max(at) FROM flow_versions WHERE tenant = ?1 AND digest >= ?2 ",
      "AND digest < ?3", of_name, " GROUP BY digest ORDER BY at DESC, version DESC LIMIT ",
      kFoundVersionsMax);
  if (name.empty()) {
    return ReadVersions(
        db.Prepare(sql, {Param::Text(tenant), Param::Text(digest_part), Param::Text(end)}));
  }
  return ReadVersions(db.Prepare(
      sql, {Param::Text(tenant), Param::Text(digest_part), Param::Text(end), Param::Text(name)}));
}

absl::Status CheckSameRequest(const FlowVersion& found, const std::string& name,
                              const std::string& digest) {
  if (found.name == name && found.digest == digest) return absl::OkStatus();
  return absl::AlreadyExistsError("the request id was used for another request");
}

absl::Status FlowNotFound(const std::string& name) {
  return absl::NotFoundError(absl::StrCat("no flow `", name, "` is registered"));
}

}  // namespace beamline::store
