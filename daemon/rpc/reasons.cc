// The table.
#include "daemon/rpc/reasons.h"

namespace beamline::rpc {
namespace {

using Code = absl::StatusCode;

constexpr ReasonEntry kReasons[] = {
    {Reason::kArgumentInvalid, "ARGUMENT_INVALID", Code::kInvalidArgument,
     "A field of the request has a value that it cannot have."},
    {Reason::kFlowInvalid, "FLOW_INVALID", Code::kInvalidArgument,
     "The flow has mistakes; each is a violation with its line and column."},
    {Reason::kFlowNotExecutable, "FLOW_NOT_EXECUTABLE", Code::kInvalidArgument,
     "The flow is valid, but uses what this release cannot execute yet."},
    {Reason::kInputsInvalid, "INPUTS_INVALID", Code::kInvalidArgument,
     "The inputs do not fit what the flow declares."},
    {Reason::kRequestIdReused, "REQUEST_ID_REUSED", Code::kInvalidArgument,
     "The request id was used before, for a request with another content."},
    {Reason::kRequestTooLarge, "REQUEST_TOO_LARGE", Code::kResourceExhausted,
     "The request is over a size limit; nothing was recorded."},
    {Reason::kDigestMismatch, "DIGEST_MISMATCH", Code::kFailedPrecondition,
     "The flow is not the one whose digest was asked for."},
    {Reason::kDraining, "DRAINING", Code::kUnavailable,
     "The daemon is about to end and starts nothing new; try again soon."},
    {Reason::kRunNotFound, "RUN_NOT_FOUND", Code::kNotFound, "There is no such run."},
    {Reason::kRunAmbiguous, "RUN_AMBIGUOUS", Code::kFailedPrecondition,
     "What was typed fits several runs; their ids are in the metadata."},
    {Reason::kRunFinished, "RUN_FINISHED", Code::kFailedPrecondition,
     "The run is finished, and a finished run does not change."},
    {Reason::kRunNotFinished, "RUN_NOT_FINISHED", Code::kFailedPrecondition,
     "The run is not finished; cancel it first."},
    {Reason::kRunExists, "RUN_EXISTS", Code::kFailedPrecondition,
     "A run of the flow has the same idempotency key, and the flow allows only one."},
    {Reason::kConcurrencyExceeded, "CONCURRENCY_EXCEEDED", Code::kAborted,
     "As many runs as the flow allows go on with its concurrency key, and it does not queue."},
    {Reason::kSignalInvalid, "SIGNAL_INVALID", Code::kInvalidArgument,
     "The signal's name or payload is not what the flow waits for."},
    {Reason::kSignalsUntaken, "SIGNALS_UNTAKEN", Code::kResourceExhausted,
     "Too many signals wait to be taken by the run."},
    {Reason::kNothingHeld, "NOTHING_HELD", Code::kFailedPrecondition,
     "No step of the run is held before its start."},
    {Reason::kNotPossible, "NOT_POSSIBLE", Code::kFailedPrecondition,
     "The run or the step is in no state for this; the message says what to do instead."},
    {Reason::kDeadLetterNotFound, "DEAD_LETTER_NOT_FOUND", Code::kNotFound,
     "There is no such dead letter (any more)."},
    {Reason::kTaskNotFound, "TASK_NOT_FOUND", Code::kNotFound, "There is no such task."},
    {Reason::kTaskStale, "TASK_STALE", Code::kAborted,
     "What stands to be decided is not what the caller was shown; look at it again."},
    {Reason::kTaskDecided, "TASK_DECIDED", Code::kFailedPrecondition,
     "The task was decided otherwise, or its time is over."},
    {Reason::kNotAnApprover, "NOT_AN_APPROVER", Code::kPermissionDenied,
     "The caller is not asked, or has started the run, or has handed the vote on."},
    {Reason::kDecisionInvalid, "DECISION_INVALID", Code::kInvalidArgument,
     "A comment is missing, or what is filled in is not what the form wants."},
    {Reason::kChangesUnavailable, "CHANGES_UNAVAILABLE", Code::kFailedPrecondition,
     "The flow does not provide for changes here, or for no more of them."},
    {Reason::kStepsBusy, "STEPS_BUSY", Code::kFailedPrecondition,
     "A step that would run again is at work; try again when it has ended."},
    {Reason::kStepNotFound, "STEP_NOT_FOUND", Code::kNotFound,
     "The run's flow has no step at this path."},
    {Reason::kBlobNotFound, "BLOB_NOT_FOUND", Code::kNotFound,
     "No event of the run names this blob."},
    {Reason::kFlowNotFound, "FLOW_NOT_FOUND", Code::kNotFound,
     "No flow of this name or digest is registered."},
    {Reason::kFlowAmbiguous, "FLOW_AMBIGUOUS", Code::kFailedPrecondition,
     "The start of a digest fits several flows; they are in the metadata."},
    {Reason::kWorkerNotFound, "WORKER_NOT_FOUND", Code::kNotFound,
     "No worker of this id is attached."},
    {Reason::kWorkerAttached, "WORKER_ATTACHED", Code::kAlreadyExists,
     "A worker of this id is attached; one stream at a time has it."},
    {Reason::kWorkerProtocolUnsupported, "WORKER_PROTOCOL_UNSUPPORTED", Code::kFailedPrecondition,
     "The worker speaks a version of the protocol that this daemon does not."},
    {Reason::kPeerUnknown, "PEER_UNKNOWN", Code::kUnauthenticated,
     "The daemon does not know whose connection this call came over."},
    {Reason::kLocalOnly, "LOCAL_ONLY", Code::kPermissionDenied,
     "This is for callers on the daemon's own machine, over its unix socket."},
    {Reason::kCallCancelled, "CALL_CANCELLED", Code::kCancelled, "The client ended the call."},
    {Reason::kStorageFull, "STORAGE_FULL", Code::kResourceExhausted,
     "The daemon's disk is full; nothing was recorded."},
    {Reason::kDataDamaged, "DATA_DAMAGED", Code::kDataLoss,
     "What the daemon has on disk is not what it wrote."},
    {Reason::kInternal, "INTERNAL", Code::kInternal, "A mistake of the daemon; please report it."},
};

}  // namespace

absl::Span<const ReasonEntry> Reasons() { return kReasons; }

const ReasonEntry& Describe(Reason reason) { return kReasons[static_cast<size_t>(reason)]; }

}  // namespace beamline::rpc
