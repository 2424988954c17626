// Times on the wire.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

namespace beamline::rpc {

// REQUIRES: a finite time.
void SetTime(absl::Time time, google::protobuf::Timestamp* wire);

}  // namespace beamline::rpc
