// What reads more than a row goes to the threads for reading.
#include "daemon/rpc/orchestrator.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/page.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/wire_time.h"
#include "proto/run_view.h"

namespace beamline::rpc {
namespace {

constexpr size_t kPageBytes = 1 << 20;
constexpr int kHoldersMax = 10;
constexpr size_t kReasonBytesMax = 4096;
constexpr size_t kAbbreviationBytesMin = 4;
constexpr size_t kIdBytes = 26;

absl::Status ReadRun(const Backend& backend, const ports::RunRow& row,
                     v1::GetRunResponse* response) {
  absl::StatusOr<Narrator> narrator = Narrator::Open(backend, row);
  if (!narrator.ok()) return narrator.status();
  proto::RunView view([&](const v1::Blob& blob) {
    return backend.blobs.Get(blob.sha256()).value_or("");  // without it items have no names
  });
  uint64_t cursor = 0;
  while (true) {
    auto events = backend.events.Read(row.id, cursor, kPageBytes);
    if (absl::IsNotFound(events.status())) return RunNotFound(row.id.ToString());
    if (!events.ok()) return events.status();
    if (events->empty()) break;
    for (const run::Event& event : *events) {
      v1::ExecutionEvent wire;
      narrator->Tell(event, &wire);
      view.Apply(wire);
    }
    cursor = events->back().seq;
  }
  *response->mutable_run() = view.run();
  response->set_flow_source(narrator->flow_source());
  return absl::OkStatus();
}

void AddTurns(const std::vector<engine::TurnWait>& waits, v1::GetRunResponse* response) {
  for (const engine::TurnWait& wait : waits) {
    v1::TurnWait* wire = response->add_turns();
    wire->set_path(wait.path);
    wire->set_key(wait.key);
    wire->set_ahead(wait.ahead);
    for (const engine::TurnWait::Holder& holder : wait.holders) {
      if (wire->holders_size() == kHoldersMax) break;
      v1::TurnHolder* one = wire->add_holders();
      one->set_run_id(holder.run.ToString());
      one->set_path(holder.path);
    }
  }
}

// Whether the run, or a step of it, may be waiting for its turn.
bool TakesTurns(const Backend& backend, const ports::RunRow& row, const std::string& source) {
  if (ports::IsFinished(row.status)) return false;
  if (row.status == ports::RunStatus::kPending) return true;
  const auto flow = backend.engine.flows().Load(source).flow;
  return flow != nullptr &&
         std::any_of(flow->flow().steps.begin(), flow->flow().steps.end(),
                     [](const flowspec::Step& step) { return step.concurrency.has_value(); });
}

std::optional<ports::RunStatus> FromWire(v1::Status status) {
  switch (status) {
    case v1::STATUS_PENDING:
      return ports::RunStatus::kPending;
    case v1::STATUS_RUNNING:
      return ports::RunStatus::kRunning;
    case v1::STATUS_WAITING:
      return ports::RunStatus::kWaiting;
    case v1::STATUS_PAUSED:
      return ports::RunStatus::kPaused;
    case v1::STATUS_SUCCEEDED:
      return ports::RunStatus::kSucceeded;
    case v1::STATUS_FAILED:
      return ports::RunStatus::kFailed;
    case v1::STATUS_CANCELLED:
      return ports::RunStatus::kCancelled;
    default:
      return std::nullopt;
  }
}

absl::StatusOr<ports::RunQuery> QueryOf(const v1::ListRunsRequest& request) {
  ports::RunQuery query{.tenant = kTenant, .flow_name = request.flow()};
  for (int status : request.statuses()) {
    const auto wanted = FromWire(static_cast<v1::Status>(status));
    if (!wanted) return InvalidField("statuses", absl::StrCat(status, " is no status of a run"));
    query.statuses.push_back(*wanted);
  }
  for (const v1::Label& label : request.labels()) {
    query.labels.emplace_back(label.key(), label.value());
  }
  if (request.has_since()) {
    query.since = absl::FromUnixSeconds(request.since().seconds()) +
                  absl::Nanoseconds(request.since().nanos());
  }
  const absl::StatusOr<int> size = PageSize(request.page_size());
  if (!size.ok()) return size.status();
  query.limit = *size;
  const absl::StatusOr<std::string> cursor = Cursor(request.page_token());
  if (!cursor.ok()) return cursor.status();
  if (!cursor->empty()) {
    query.before = run::RunId::Parse(*cursor);
    if (!query.before) return InvalidPageToken();
  }
  return query;
}

void Summarize(const ports::RunRow& row, v1::RunSummary* summary) {
  summary->set_id(row.id.ToString());
  summary->set_flow(row.flow_name);
  summary->set_digest(row.flow_digest);
  summary->set_status(ToWire(row.status));
  SetTime(row.started_at, summary->mutable_started_at());
  if (ports::IsFinished(row.status)) SetTime(row.finished_at, summary->mutable_finished_at());
  for (const auto& [key, value] : row.labels) {
    v1::Label* label = summary->add_labels();
    label->set_key(key);
    label->set_value(value);
  }
  summary->set_actor(row.actor);
  summary->set_error(row.error);
}

absl::Status List(const Backend& backend, const v1::ListRunsRequest& request,
                  v1::ListRunsResponse* response) {
  absl::StatusOr<ports::RunQuery> query = QueryOf(request);
  if (!query.ok()) return query.status();
  const auto wanted = static_cast<size_t>(query->limit++);  // one more tells whether there is more
  auto rows = backend.events.ListRuns(*query);
  if (!rows.ok()) return rows.status();
  const bool more = rows->size() > wanted;
  if (more) rows->resize(wanted);
  for (const ports::RunRow& row : *rows) Summarize(row, response->add_runs());
  if (more) {
    response->set_next_page_token(PageToken(rows->back().id.ToString()));
  }
  return absl::OkStatus();
}

absl::Status RefuseAmbiguous(const std::string& name, const std::vector<run::RunId>& ids) {
  const std::string list = absl::StrJoin(
      ids, ",", [](std::string* out, const run::RunId& id) { out->append(id.ToString()); });
  return Refusal(Reason::kRunAmbiguous, absl::StrCat("`", name, "` fits several runs"))
      .With("ids", list)
      .Precondition("UNIQUE", name, absl::StrCat("fits ", list));
}

bool IsChild(const Backend& backend, const run::RunId& id) {
  const auto first = backend.events.Read(id, 0, 1);
  const auto* started =
      first.ok() && !first->empty() ? std::get_if<run::RunStarted>(&first->front().fact) : nullptr;
  return started != nullptr && started->parent.has_value();
}

absl::StatusOr<std::string> Latest(const Backend& backend, const std::string& name) {
  ports::RunQuery query{.tenant = kTenant, .limit = 20};
  if (name == "@latest-failed") {
    query.statuses = {ports::RunStatus::kFailed};
  } else if (name != "@latest") {
    return InvalidField(
        "name", absl::StrCat("`", name.substr(0, 64), "` is neither @latest nor @latest-failed"));
  }
  // What somebody started: a sub-flow is part of the run that it belongs to.
  while (true) {
    const auto rows = backend.events.ListRuns(query);
    if (!rows.ok()) return rows.status();
    for (const ports::RunRow& row : *rows) {
      if (!IsChild(backend, row.id)) return row.id.ToString();
      query.before = row.id;
    }
    if (rows->size() < static_cast<size_t>(query.limit)) break;
  }
  return Refusal(Reason::kRunNotFound,
                 query.statuses.empty() ? "there is no run yet" : "no run has failed")
      .With("run_id", name)
      .Resource("run", name);
}

absl::StatusOr<std::string> Resolve(const Backend& backend, const std::string& name) {
  if (!name.empty() && name[0] == '@') return Latest(backend, name);
  if (name.size() < kAbbreviationBytesMin) {
    return InvalidField("name", absl::StrCat("give at least ", kAbbreviationBytesMin,
                                             " characters of the run's id, or @latest"));
  }
  if (name.size() > kIdBytes) return RunNotFound(name);
  if (name.size() == kIdBytes) {
    absl::StatusOr<ports::RunRow> row = FindRun(backend, name);
    if (!row.ok()) return row.status();
    return row->id.ToString();
  }
  const auto found = backend.events.FindRuns(kTenant, absl::AsciiStrToLower(name));
  if (!found.ok()) return found.status();
  if (found->empty()) return RunNotFound(name);
  if (found->size() > 1) return RefuseAmbiguous(name, *found);
  return found->front().ToString();
}

absl::Status RefuseChange(const absl::Status& status, Reason reason, const std::string& run_id) {
  if (absl::IsNotFound(status)) return RunNotFound(run_id);
  if (!absl::IsFailedPrecondition(status)) return status;
  const char* message = reason == Reason::kRunFinished ? "the run is finished already"
                                                       : "the run is not finished; cancel it first";
  return Refusal(reason, message).With("run_id", run_id).Precondition("STATUS", run_id, message);
}

}  // namespace

void GetRun(const Backend& backend, const v1::GetRunRequest& request, v1::GetRunResponse* response,
            Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
    if (!row.ok()) return done(row.status());
    absl::Status read = ReadRun(backend, *row, response);
    if (!read.ok() || !TakesTurns(backend, *row, response->flow_source())) return done(read);
    backend.engine.LookAtTurns(
        row->id, row->tenant, row->turn,
        [&backend, response, done](const std::vector<engine::TurnWait>& waits) {
          backend.answers.Do([response, waits, done] {
            AddTurns(waits, response);
            done(absl::OkStatus());
          });
        });
  });
}

void ListRuns(const Backend& backend, const v1::ListRunsRequest& request,
              v1::ListRunsResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    done(List(backend, request, response));
  });
}

void ResolveRun(const Backend& backend, const v1::ResolveRunRequest& request,
                v1::ResolveRunResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    absl::StatusOr<std::string> id = Resolve(backend, request.name());
    if (id.ok()) response->set_run_id(*id);
    done(id.status());
  });
}

void CancelRun(const Backend& backend, const Caller& caller, const v1::CancelRunRequest& request,
               v1::CancelRunResponse* response, Done done) {
  if (request.reason().size() > kReasonBytesMax) {
    return done(TooLarge("reason", request.reason().size(), kReasonBytesMax));
  }
  const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
  if (!row.ok()) return done(row.status());
  auto recorded = [&backend, &request, response, id = row->id,
                   done = std::move(done)](absl::Status status) mutable {
    backend.answers.Do(
        [&backend, &request, response, id, status = std::move(status), done = std::move(done)] {
          if (!status.ok())
            return done(RefuseChange(status, Reason::kRunFinished, request.run_id()));
          const auto now = backend.events.GetRun(id);
          if (now.ok()) response->set_status(ToWire(now->status));
          done(now.status());
        });
  };
  backend.engine.CancelRun(row->id, caller.actor, request.reason(), request.force(),
                           std::move(recorded));
}

void DeleteRun(const Backend& backend, const v1::DeleteRunRequest& request, Done done) {
  const absl::StatusOr<ports::RunRow> row = FindRun(backend, request.run_id());
  if (!row.ok()) return done(row.status());
  auto deleted = [&backend, &request, id = row->id,
                  done = std::move(done)](absl::Status status) mutable {
    backend.reads.Do([&backend, &request, id, status = std::move(status), done = std::move(done)] {
      if (!status.ok()) {
        return done(RefuseChange(status, Reason::kRunNotFinished, request.run_id()));
      }
      done(backend.outputs.Delete(id));
    });
  };
  backend.engine.DeleteRun(row->id, std::move(deleted));
}

void Ping(v1::PingResponse* response) {
  response->set_version(BEAMLINE_VERSION);
  response->set_protocol("v1");
}

}  // namespace beamline::rpc
