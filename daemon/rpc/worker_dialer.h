// Workers that serve instead of dialling: the daemon calls them at the addresses that its
// configuration names.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/ports/worker_pool.h"

namespace beamline::rpc {

struct WorkerEndpoint {
  std::string address;  // as gRPC takes it: "unix:/run/w.sock", "127.0.0.1:7000"
  std::string queue;    // only this one of the queues that it describes; empty: all
};

// A thread for each endpoint: asks it what it can do, then talks to it until the stream ends, and
// tries again with growing pauses. A worker without ExecuteStepStream gets a call for each attempt.
class WorkerDialer {
 public:
  // `pool` outlives the dialer. `warn` is told when an endpoint is lost or not to be had, once
  // until it is there again; any thread.
  WorkerDialer(ports::WorkerPool& pool, std::vector<WorkerEndpoint> endpoints,
               const std::function<void(std::string)>& warn);
  // Breaks off what is under way: its outcome is unknown.
  ~WorkerDialer();

 private:
  class Line;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace beamline::rpc
