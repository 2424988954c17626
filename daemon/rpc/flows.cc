// Changes go to the thread that writes, reads to the threads for reading.
#include "daemon/rpc/flows.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/engine/stored_flow.h"
#include "daemon/rpc/flow_bundle.h"
#include "daemon/rpc/flow_files.h"
#include "daemon/rpc/flow_triggers.h"
#include "daemon/rpc/named_flow.h"
#include "daemon/rpc/page.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/start_run.h"
#include "daemon/rpc/wire_time.h"

namespace beamline::rpc {
namespace {

void ToWire(const ports::FlowVersion& version, v1::FlowVersion* wire) {
  wire->set_name(version.name);
  wire->set_version(static_cast<int64_t>(version.version));
  wire->set_digest(version.digest);
  SetTime(version.at, wire->mutable_registered_at());
  wire->set_actor(version.actor);
  wire->set_workspace(version.workspace);
}

absl::Status CheckRegister(const Caller& caller, const v1::RegisterFlowRequest& request) {
  if (request.flow_source().size() > kFlowBytesMax) {
    return TooLarge("flow_source", request.flow_source().size(), kFlowBytesMax);
  }
  if (request.request_id().size() > kRequestIdBytesMax) {
    return TooLarge("request_id", request.request_id().size(), kRequestIdBytesMax);
  }
  if (absl::Status status = CheckFlowFiles(request.files()); !status.ok()) return status;
  if (!caller.remote || request.workspace().empty()) return CheckWorkspace(request.workspace());
  return Refusal(Reason::kLocalOnly,
                 "workspace: runs of a flow that is registered over the network get directories of "
                 "their own; leave it empty")
      .With("field", "workspace");
}

// The flow with its files, if it may be registered.
absl::StatusOr<FlowBundle> LoadNew(const Backend& backend, const v1::RegisterFlowRequest& request) {
  absl::StatusOr<FlowBundle> bundle =
      LoadBundle(backend, request.flow_source(), request.files(), engine::FlowCache::Flow::kNew);
  if (!bundle.ok()) return bundle;
  if (!bundle->problems.empty()) return RefuseFlow(bundle->problems);
  if (absl::Status status = CheckDigest(*bundle, request.check_digest()); !status.ok()) {
    return status;
  }
  return bundle;
}

ports::Registration RegistrationOf(const Backend& backend, const Caller& caller,
                                   const v1::RegisterFlowRequest& request, FlowBundle bundle) {
  const flowspec::Flow& flow = bundle.flow->flow();
  const ports::FlowSource itself{flow.digest, flow.name, flow.source};
  ports::Registration registration{.tenant = kTenant,
                                   .flow = engine::KeptAs(itself, bundle.files),
                                   .actor = caller.actor,
                                   .workspace = request.workspace(),
                                   .at = backend.clock.Now(),
                                   .triggers = TriggerSpecs(flow),
                                   .request_id = request.request_id()};
  if (!bundle.files.empty()) {
    registration.parts = std::move(bundle.sources);
    registration.parts.push_back(itself);
  }
  if (registration.workspace.empty() && !caller.remote) registration.workspace = '/';
  return registration;
}

absl::Status AddFiles(const Backend& backend, const engine::StoredFlow& kept,
                      v1::GetFlowResponse* response) {
  for (const run::BundledFlow& file : kept.files) {
    const auto source = backend.events.GetFlow(file.digest);
    if (!source.ok()) return source.status();
    v1::FlowFile* wire = response->add_files();
    wire->set_path(file.path);
    wire->set_source(source->source);
  }
  return absl::OkStatus();
}

absl::Status RefuseReuse(const absl::Status& status, const std::string& request_id) {
  if (!absl::IsAlreadyExists(status)) return status;
  return Refusal(Reason::kRequestIdReused,
                 "this request id has changed another flow, or this one otherwise; use another one")
      .With("request_id", request_id)
      .Violation("request_id", "was used for a request with another content");
}

// Does `work` on the writing thread, and gives its result to `then` on the one for answers.
template <typename Work, typename Then>
void Write(const Backend& backend, Work work, Then then) {
  backend.engine.Write([&backend, work = std::move(work), then = std::move(then)] {
    auto result = std::make_shared<decltype(work())>(work());
    backend.answers.Do([result, then] { then(*result); });
  });
}

}  // namespace

void RegisterFlow(const Backend& backend, const Caller& caller,
                  const v1::RegisterFlowRequest& request, v1::RegisterFlowResponse* response,
                  Done done) {
  if (absl::Status status = CheckRegister(caller, request); !status.ok()) return done(status);
  absl::StatusOr<FlowBundle> bundle = LoadNew(backend, request);
  if (!bundle.ok()) return done(bundle.status());
  const ports::Registration registration =
      RegistrationOf(backend, caller, request, *std::move(bundle));
  Write(
      backend, [&backend, registration] { return backend.flows.Register(registration); },
      [&backend, &request, response,
       done = std::move(done)](const absl::StatusOr<ports::Registered>& result) {
        if (!result.ok()) return done(RefuseReuse(result.status(), request.request_id()));
        ToWire(result->version, response->mutable_flow()->mutable_version());
        response->set_existing(result->existing);
        backend.flow_changed(kTenant, result->version.name);
        done(AddTriggers(backend, {response->mutable_flow()}));
      });
}

void DeleteFlow(const Backend& backend, const Caller& caller, const v1::DeleteFlowRequest& request,
                Done done) {
  if (request.request_id().size() > kRequestIdBytesMax) {
    return done(TooLarge("request_id", request.request_id().size(), kRequestIdBytesMax));
  }
  ports::FlowRegistry::Removal removal{kTenant, request.name(), caller.actor, request.request_id(),
                                       backend.clock.Now()};
  Write(
      backend, [&backend, removal] { return backend.flows.Remove(removal); },
      [&backend, &request, done = std::move(done)](const absl::Status& status) {
        if (absl::IsNotFound(status)) return done(FlowNotFound(backend, request.name()));
        if (status.ok()) backend.flow_changed(kTenant, request.name());
        done(RefuseReuse(status, request.request_id()));
      });
}

void GetFlow(const Backend& backend, const v1::GetFlowRequest& request,
             v1::GetFlowResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    const absl::StatusOr<NamedFlow> named = FindFlow(backend, request.flow());
    if (!named.ok()) return done(named.status());
    const auto kept = engine::ReadFlow(backend.events, named->version.digest);
    if (!kept.ok()) return done(kept.status());
    ToWire(named->version, response->mutable_flow()->mutable_version());
    response->set_flow_source(kept->flow.source);
    response->set_current(named->current);
    if (absl::Status files = AddFiles(backend, *kept, response); !files.ok()) return done(files);
    if (const auto flow = backend.engine.flows().Load(kept->flow.source).flow) {
      response->mutable_flow()->set_description(flow->flow().description);
      for (const auto& [key, value] : flow->flow().labels) {
        v1::Label* label = response->add_labels();
        label->set_key(key);
        label->set_value(value);
      }
    }
    done(named->current ? AddTriggers(backend, {response->mutable_flow()}) : absl::OkStatus());
  });
}

void ListFlows(const Backend& backend, const v1::ListFlowsRequest& request,
               v1::ListFlowsResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    const absl::StatusOr<int> size = PageSize(request.page_size());
    if (!size.ok()) return done(size.status());
    absl::StatusOr<std::string> after = Cursor(request.page_token());
    if (!after.ok()) return done(after.status());
    auto flows = backend.flows.ListFlows({kTenant, *std::move(after), *size + 1});
    if (!flows.ok()) return done(flows.status());
    const bool more = static_cast<int>(flows->size()) > *size;
    if (more) flows->pop_back();  // it was only asked for to know that it is there
    for (const ports::FlowVersion& flow : *flows) {
      ToWire(flow, response->add_flows()->mutable_version());
    }
    if (more) response->set_next_page_token(PageToken(flows->back().name));
    std::vector<v1::FlowSummary*> listed;
    for (v1::FlowSummary& flow : *response->mutable_flows()) listed.push_back(&flow);
    done(AddTriggers(backend, listed));
  });
}

void ListFlowVersions(const Backend& backend, const v1::ListFlowVersionsRequest& request,
                      v1::ListFlowVersionsResponse* response, Done done) {
  backend.reads.Do([&backend, &request, response, done = std::move(done)] {
    const absl::StatusOr<int> size = PageSize(request.page_size());
    if (!size.ok()) return done(size.status());
    const absl::StatusOr<std::string> cursor = Cursor(request.page_token());
    if (!cursor.ok()) return done(cursor.status());
    uint64_t before = 0;
    if (!cursor->empty() && (!absl::SimpleAtoi(*cursor, &before) || before == 0)) {
      return done(InvalidPageToken());
    }
    auto versions = backend.flows.FlowHistory(kTenant, request.name(), before, *size + 1);
    if (!versions.ok()) return done(versions.status());
    if (versions->empty() && before == 0) return done(FlowNotFound(backend, request.name()));
    const bool more = static_cast<int>(versions->size()) > *size;
    if (more) versions->pop_back();
    for (const ports::FlowVersion& version : *versions) ToWire(version, response->add_versions());
    if (more) {
      response->set_next_page_token(PageToken(absl::StrCat(versions->back().version)));
    }
    done(absl::OkStatus());
  });
}

}  // namespace beamline::rpc
