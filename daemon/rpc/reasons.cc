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
    {Reason::kStepNotFound, "STEP_NOT_FOUND", Code::kNotFound,
     "The run's flow has no step at this path."},
    {Reason::kBlobNotFound, "BLOB_NOT_FOUND", Code::kNotFound,
     "No event of the run names this blob."},
    {Reason::kWorkerNotFound, "WORKER_NOT_FOUND", Code::kNotFound,
     "No worker of this id is attached."},
    {Reason::kWorkerAttached, "WORKER_ATTACHED", Code::kAlreadyExists,
     "A worker of this id is attached; one stream at a time has it."},
    {Reason::kWorkerProtocolUnsupported, "WORKER_PROTOCOL_UNSUPPORTED", Code::kFailedPrecondition,
     "The worker speaks a version of the protocol that this daemon does not."},
    {Reason::kPeerUnknown, "PEER_UNKNOWN", Code::kUnauthenticated,
     "The daemon does not know whose connection this call came over."},
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
