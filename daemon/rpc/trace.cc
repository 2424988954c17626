// Reading and making trace ids.
#include "daemon/rpc/trace.h"

#include "absl/strings/escaping.h"

namespace beamline::rpc {
namespace {

constexpr size_t kVersionBytes = 2, kTraceBytes = 32, kSpanBytes = 16, kFlagsBytes = 2;
constexpr size_t kParentBytes = kVersionBytes + 1 + kTraceBytes + 1 + kSpanBytes + 1 + kFlagsBytes;

// Lower-case hex digits, not all of them zero.
bool IsId(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == text.npos &&
         text.find_first_not_of('0') != text.npos;
}

}  // namespace

std::string TraceIdOf(std::string_view traceparent) {
  // Later versions may be longer, after another dash.
  const bool long_enough = traceparent.size() == kParentBytes ||
                           (traceparent.size() > kParentBytes && traceparent[kParentBytes] == '-' &&
                            traceparent.substr(0, kVersionBytes) != "00");
  if (!long_enough || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-') {
    return "";
  }
  const std::string_view version = traceparent.substr(0, kVersionBytes);
  const std::string_view trace = traceparent.substr(kVersionBytes + 1, kTraceBytes);
  const std::string_view span = traceparent.substr(kVersionBytes + kTraceBytes + 2, kSpanBytes);
  const bool version_ok =
      version.find_first_not_of("0123456789abcdef") == version.npos && version != "ff";
  return version_ok && IsId(trace) && IsId(span) ? std::string(trace) : "";
}

std::string NewTraceId(ports::Clock& clock) {
  const auto first = clock.Entropy(), second = clock.Entropy();
  std::string bytes(first.begin(), first.end());
  bytes.append(second.begin(), second.begin() + 6);
  const absl::string_view view(bytes);
  std::string id = absl::BytesToHexString(view);
  if (id.find_first_not_of('0') == id.npos) id.back() = '1';  // all zero is invalid
  return id;
}

}  // namespace beamline::rpc
