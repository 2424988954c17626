// StartRuns: many starts in one call, as fast as the log takes them.
#pragma once

#include <functional>
#include <memory>

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// The starts of one call. Thread-safe; lives as long as somebody holds it.
class StartedRuns : public std::enable_shared_from_this<StartedRuns> {
 public:
  // `next`: another request may be added; called on any thread, once per Add. All of it outlives
  // the call.
  StartedRuns(const Backend& backend, Caller caller, std::function<void()> next);
  ~StartedRuns();

  // Takes the request. At most kStartsInFlightMax are being recorded at a time: `next` comes later
  // when that many are.
  void Add(v1::StartRunRequest request);
  // No more will be added: `done` is called when all have been answered, and `response` filled in.
  void Finish(v1::StartRunsResponse* response, Done done);

 private:
  struct Shared;
  const std::unique_ptr<Shared> shared_;
};

}  // namespace beamline::rpc
