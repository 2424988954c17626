// What people do to runs that are stuck: RetryRun, SkipStep and PauseRun.
#pragma once

#include <string>

#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"
#include "daemon/run/command.h"

namespace beamline::rpc {

// Requests and responses live until `done` is called.
void RetryRun(const Backend& backend, const Caller& caller, const v1::RetryRunRequest& request,
              v1::RetryRunResponse* response, Done done);
void SkipStep(const Backend& backend, const Caller& caller, const v1::SkipStepRequest& request,
              v1::SkipStepResponse* response, Done done);
void PauseRun(const Backend& backend, const Caller& caller, const v1::PauseRunRequest& request,
              v1::PauseRunResponse* response, Done done);

// Ok if the texts of a wish are short enough.
absl::Status CheckWish(const std::string& request_id, const std::string& reason);

// The reason and request of a wish. `body`: what makes two requests the same.
run::Intervention InterventionOf(const std::string& request_id, const std::string& reason,
                                 std::initializer_list<std::string_view> body);

// What the engine says of a wish, in the catalogue's words.
absl::Status RefuseWish(const absl::Status& status, const std::string& run_id,
                        const std::string& step);

// The inputs of a run, as a JSON object, with those of `changes` (an object, or empty) over them. A
// sensitive input that the changes do not give is left out.
absl::StatusOr<std::string> MergeInputs(const Backend& backend, const run::Value& inputs,
                                        const std::string& changes);

}  // namespace beamline::rpc
