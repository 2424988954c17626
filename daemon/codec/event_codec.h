// Facts to protobuf and back: the stored form, the wire form, and canonical bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/run/event.h"

namespace beamline::v1 {
class ExecutionEvent;
}

namespace beamline::codec {

// What all events of a run have in common on the wire. Borrowed for the call.
struct WireContext {
  std::string_view run_id;    // 26 characters
  std::string_view flow_id;   // the flow's digest
  std::string_view trace_id;  // 32 hex digits
};

// The stored form of the events of one decision: canonical (equal events give equal bytes),
// without what WireContext says. REQUIRES: together under 2 GiB.
//
// Protobuf reads back only UTF-8, so a byte of a text (not of a JSON value) that is none is stored
// as U+FFFD. Times are kept to the nanosecond, within the years 1 to 9999.
std::string EncodeEvents(absl::Span<const run::Event> events);

// The inverse; never trusts `bytes`. DataLoss: what is wrong, and in which event.
absl::StatusOr<std::vector<run::Event>> DecodeEvents(std::string_view bytes);
// Likewise, added to the end of `events`; after an error some may have been added.
absl::Status DecodeEvents(std::string_view bytes, std::vector<run::Event>* events);

// Fills `wire` (empty before) with `event` and all that a reader wants to know of its place:
// the context, step_id, span_id, an attempt's idempotency key, and blob URIs.
void ToWire(const run::Event& event, const WireContext& context, v1::ExecutionEvent* wire);

// The fact in `wire`, stored or wire form. DataLoss: what is wrong with it.
absl::StatusOr<run::Event> FromWire(const v1::ExecutionEvent& wire);

// The bytes of `wire` that are hashed and signed: fields in order of number, no unknown order.
std::string CanonicalBytes(const v1::ExecutionEvent& wire);

}  // namespace beamline::codec
