// The daemon's door: takes connections from the listener and serves calls on them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "daemon/engine/engine.h"
#include "daemon/ports/flow_registry.h"
#include "daemon/ports/task_index.h"
#include "daemon/rpc/admin.h"
#include "daemon/rpc/listener.h"
#include "daemon/rpc/network_door.h"

namespace beamline::rpc {

// What is served. All of it outlives the server.
struct Served {
  engine::Engine& engine;
  ports::EventStore& events;
  ports::FlowRegistry& flows;
  ports::BlobStore& blobs;
  ports::OutputStore& outputs;
  ports::Clock& clock;
  // Told of registered flows that changed (Backend::flow_changed).
  std::function<void(const std::string& tenant, const std::string& flow)> flow_changed;
  // The directory of a run that was started over the network, by its id.
  std::function<std::string(const run::RunId&)> workspace_of;
  ports::WorkerPool& workers;
  const ports::Provision& provision;
  ports::TaskIndex& tasks;
  const Groups& groups;
};

class Server {
 public:
  // Starts to serve connections of `listener`, which outlives this, and those of the network.
  // `warn` is told of connections that were refused; any thread. REQUIRES: the engine has started.
  Server(Served served, About about, Listener& listener, Network network,
         std::function<void(std::string)> warn);
  ~Server();  // as Stop
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // What grpc.health.v1.Health says.
  void SetServing(bool serving);
  // Accepts nothing more; ends calls that are not done by themselves after `grace`. REQUIRES: the
  // engine still runs, so that what it owes to calls is answered.
  void Stop(absl::Duration grace);

  // Open connections, and connections since the start.
  struct Connections {
    size_t open = 0;
    uint64_t total = 0;
  };
  Connections connections();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace beamline::rpc
