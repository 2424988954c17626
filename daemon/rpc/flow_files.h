// The files of a bundle, as requests carry them: within limits, and with paths that mean one thing.
#pragma once

#include "absl/status/status.h"
#include "beamline/v1/orchestrator.pb.h"

namespace beamline::rpc {

// Ok if `files` are at most flowspec::kBundleFilesMax with flowspec::kBundleBytesMax in all, and
// their paths relative, normalised, unique and within the directory of the flow that is started.
// Says nothing about what the files hold. Errors: REQUEST_TOO_LARGE, ARGUMENT_INVALID.
absl::Status CheckFlowFiles(const google::protobuf::RepeatedPtrField<v1::FlowFile>& files);

}  // namespace beamline::rpc
