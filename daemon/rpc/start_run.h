// StartRun: from a request of a stranger to a checked start.
#pragma once

#include "absl/status/statusor.h"
#include "beamline/v1/orchestrator.pb.h"
#include "daemon/rpc/backend.h"
#include "flowspec/inputs.h"

namespace beamline::rpc {

// Limits of a request, asked for before anything else is done with it.
inline constexpr size_t kFlowBytesMax = size_t{1} << 20;
inline constexpr size_t kInputsBytesMax = size_t{4} << 20;
inline constexpr int kLabelsMax = 64;
inline constexpr size_t kLabelKeyBytesMax = 128;
inline constexpr size_t kLabelValueBytesMax = 1024;
inline constexpr size_t kPathBytesMax = 4096;
inline constexpr size_t kRequestIdBytesMax = 128;

absl::Status RefuseInputs(const std::vector<flowspec::InputViolation>& violations);
// What the engine says of a start, in the catalogue's words.
absl::Status RefuseStart(const absl::Status& status, const std::string& request_id);

// Ok for an absolute path, and for none.
absl::Status CheckWorkspace(const std::string& workspace);

// Everything that can be wrong with `request` is found here; nothing is recorded. May parse
// the flow and its files (some 20 ms each), where they are new.
absl::StatusOr<engine::StartRequest> CheckStart(const Backend& backend, const Caller& caller,
                                                const v1::StartRunRequest& request);

// Answers once the run is on disk.
void StartRun(const Backend& backend, const Caller& caller, const v1::StartRunRequest& request,
              v1::StartRunResponse* response, Done done);

}  // namespace beamline::rpc
