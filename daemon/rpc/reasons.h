// The catalogue of reasons why a call is refused: what clients may switch on.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace beamline::rpc {

enum class Reason {
  kArgumentInvalid,
  kFlowInvalid,
  kFlowNotExecutable,
  kInputsInvalid,
  kRequestIdReused,
  kRequestTooLarge,
  kDigestMismatch,
  kDraining,
  kRunNotFound,
  kRunAmbiguous,
  kRunFinished,
  kRunNotFinished,
  kRunExists,
  kConcurrencyExceeded,
  kSignalInvalid,
  kSignalsUntaken,
  kNothingHeld,
  kNotPossible,
  kDeadLetterNotFound,
  kTaskNotFound,
  kTaskStale,
  kTaskDecided,
  kNotAnApprover,
  kDecisionInvalid,
  kChangesUnavailable,
  kStepsBusy,
  kStepNotFound,
  kBlobNotFound,
  kFlowNotFound,
  kFlowAmbiguous,
  kWorkerNotFound,
  kWorkerAttached,
  kWorkerProtocolUnsupported,
  kPeerUnknown,
  kLocalOnly,
  kCallCancelled,
  kStorageFull,
  kDataDamaged,
  kInternal
};

struct ReasonEntry {
  Reason reason;
  const char* name;  // ErrorInfo.reason, UPPER_SNAKE; never changed once released
  absl::StatusCode code;
  const char* meaning;  // one sentence for people
};

// All of them, in the order of the enumeration.
absl::Span<const ReasonEntry> Reasons();
const ReasonEntry& Describe(Reason reason);

}  // namespace beamline::rpc
