// A run's facts in wire form, with all that a reader wants to know beside them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/event.pb.h"
#include "beamline/v1/run.pb.h"
#include "daemon/ports/event_store.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

class Narrator {
 public:
  // Reads what the run's events have in common from its first one. NotFound, DataLoss.
  static absl::StatusOr<Narrator> Open(const Backend& backend, const ports::RunRow& row);

  // `wire` is empty before. RunStarted gets the flow's outline, if the flow can still be read.
  void Tell(const run::Event& event, v1::ExecutionEvent* wire) const;

  const std::string& flow_source() const { return flow_source_; }
  // Null if the flow cannot be read any more.
  const engine::CompiledFlow* flow() const { return flow_.get(); }

 private:
  std::string run_id_, flow_digest_, trace_id_, flow_source_;
  std::shared_ptr<const engine::CompiledFlow> flow_;
};

// The run's id, if it is one and `row` is to be had. Refusal RUN_NOT_FOUND.
absl::StatusOr<ports::RunRow> FindRun(const Backend& backend, const std::string& run_id);

v1::Status ToWire(ports::RunStatus status);

// What RunFinished, the run's last event, says of its failure; nothing for a run that succeeded.
absl::Status ReadFailure(const Backend& backend, const run::RunId& id, uint64_t last_seq,
                         v1::Failure* failure);

}  // namespace beamline::rpc
