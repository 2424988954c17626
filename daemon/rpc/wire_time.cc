// Seconds rounded down, so that the nanoseconds are never negative.
#include "daemon/rpc/wire_time.h"

#include <cstdint>

namespace beamline::rpc {

void SetTime(absl::Time time, google::protobuf::Timestamp* wire) {
  absl::Duration rest;
  wire->set_seconds(absl::IDivDuration(time - absl::UnixEpoch(), absl::Seconds(1), &rest));
  wire->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

}  // namespace beamline::rpc
