// Words of statuses; see status_word.h.
#include "proto/status_word.h"

namespace beamline::proto {

bool IsTerminal(v1::Status status) {
  return status == v1::STATUS_SUCCEEDED || status == v1::STATUS_FAILED ||
         status == v1::STATUS_SKIPPED || status == v1::STATUS_CANCELLED;
}

const char* StatusWord(v1::Status status) {
  switch (status) {
    case v1::STATUS_PENDING:
      return "pending";
    case v1::STATUS_RUNNING:
      return "running";
    case v1::STATUS_WAITING:
      return "waiting";
    case v1::STATUS_SUCCEEDED:
      return "succeeded";
    case v1::STATUS_FAILED:
      return "failed";
    case v1::STATUS_SKIPPED:
      return "skipped";
    case v1::STATUS_CANCELLED:
      return "cancelled";
    case v1::STATUS_PARKED:
      return "parked";
    case v1::STATUS_PAUSED:
      return "paused";
    default:
      return "";
  }
}

v1::Status StatusFromWord(std::string_view word) {
  for (int i = v1::STATUS_PENDING; i <= v1::Status_MAX; ++i) {
    if (word == StatusWord(static_cast<v1::Status>(i))) return static_cast<v1::Status>(i);
  }
  return v1::STATUS_UNSPECIFIED;
}

}  // namespace beamline::proto
