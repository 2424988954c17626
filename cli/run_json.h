// The one documented JSON shape of runs and events, for -o json, --jq, exports and scripts. Keys
// are stable; what is absent in a run is absent here; times are RFC 3339 in UTC.
//
//   run:     {id, flow, digest, status, inputs, outputs?, error?, started_at, finished_at?,
//   labels?,
//             actor, trace_id, replay_of?, steps: [step]}
//   step:    {id, name?, kind, status, section?, needs?, reason?, output?, error?, started_at?,
//             finished_at?, retry_at?, attempts?: [attempt], artifacts?: [artifact], child_run?,
//             task?, round?, count?, items?: [item], steps?: [step]}
//   artifact: {name, path, blob_uri, sha256, bytes, report?, summary?}
//   summary: {tests, failures, errors, skipped, warnings, notes, time_ms, cases?: [{name, message,
//             file?, line?}]} or, where the report could not be read, {problem}
//   item:    {key, index, item, status, …} with the fields of a step that can apply
//   attempt: {n, status, outcome?, started_at, finished_at?, error?, exit_code?, idempotency_key}
//   error:   {kind, message, exit_code?}
//   event:   {seq, time, type, run_id, flow_id, step_id?, actor, trace_id, span_id?, …the fact}
//   a value that is not inline: {blob_uri, sha256, bytes}
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "beamline/v1/event.pb.h"
#include "beamline/v1/run.pb.h"

namespace beamline::cli {

// Reads the JSON text behind a blob; "" leaves the reference in its place.
using BlobReader = std::function<std::string(const v1::Blob&)>;

std::string RunJson(const v1::Run& run, const BlobReader& read_blob = nullptr);
std::string RunSummaryJson(const v1::RunSummary& summary);
// "AttemptFinished"; "" of an event that this release does not know.
std::string EventType(const v1::ExecutionEvent& event);
// One line.
std::string EventJson(const v1::ExecutionEvent& event);
// JSON text of `value`; "null" if it is absent.
std::string ValueJson(const v1::Value& value, const BlobReader& read_blob = nullptr);

std::string UsageJson(const v1::Usage& usage);

// `text` as a JSON string. Bytes that are not UTF-8 become U+FFFD.
std::string QuoteJson(std::string_view text);
absl::Time ToTime(const google::protobuf::Timestamp& time);
// "2025-01-31T12:00:00.000Z"
std::string TimeText(const google::protobuf::Timestamp& time);

}  // namespace beamline::cli
