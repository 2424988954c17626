// What the services work with, and what every call knows of its caller.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/engine/aside.h"
#include "daemon/engine/engine.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/clock.h"
#include "daemon/ports/event_store.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/ports/output_store.h"
#include "daemon/ports/provision.h"
#include "daemon/ports/task_index.h"
#include "daemon/ports/worker_pool.h"

namespace beamline::rpc {

class Timers;

// Who belongs together: names of people by the name of the group, of the daemon's configuration.
using Groups = std::map<std::string, std::vector<std::string>>;

// All of it outlives every call.
struct Backend {
  engine::Engine& engine;
  ports::EventStore& events;
  ports::FlowRegistry& flows;
  ports::BlobStore& blobs;
  ports::OutputStore& outputs;
  ports::Clock& clock;
  // Threads beside those of the transport: one for what may take long, one for answers, so that
  // neither the transport nor the engine is held up.
  engine::Aside& reads;
  engine::Aside& answers;
  Timers& timers;
  // To be called when a flow of this name was registered or taken away, on any thread.
  std::function<void(const std::string& tenant, const std::string& flow)> flow_changed;
  // The directory of a run that was started over the network.
  std::function<std::string(const run::RunId&)> workspace_of;
  ports::WorkerPool& workers;
  const ports::Provision& provision;
  engine::Aside& words;  // one thread, for what workers are told
  ports::TaskIndex& tasks;
  const Groups& groups;
};

struct Caller {
  std::string actor;        // "uid:1000", "cert:ci@acme"
  std::string traceparent;  // of the call's metadata; may be empty
  bool remote = false;      // came over the network, and not over the unix socket
};

// Ends a call, exactly once, on any thread. The call's request and response may be gone when it
// returns.
using Done = std::function<void(absl::Status)>;

// A call that may take until something happens.
class Call {
 public:
  virtual ~Call() = default;
  // The client is gone: `done` follows soon, if it was not called yet.
  virtual void Cancel() = 0;
};

// Until identity comes, everybody who may connect is the owner of everything.
inline constexpr char kTenant[] = "local";

}  // namespace beamline::rpc
