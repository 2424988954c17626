// Decodes and tells errors; see api_error.h.
#include "cli/api_error.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace beamline::cli {
namespace {

constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";

void ReadDetail(const google::protobuf::Any& any, ApiError* error) {
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  google::rpc::QuotaFailure quota;
  google::rpc::PreconditionFailure precondition;
  google::rpc::RetryInfo retry;
  if (any.UnpackTo(&info)) {
    error->reason = info.reason();
    error->metadata.assign(info.metadata().begin(), info.metadata().end());
    std::sort(error->metadata.begin(), error->metadata.end());
  } else if (any.UnpackTo(&bad_request)) {
    for (const auto& v : bad_request.field_violations()) {
      error->violations.push_back({v.field(), v.description()});
    }
  } else if (any.UnpackTo(&quota)) {
    for (const auto& v : quota.violations()) {
      error->violations.push_back({v.subject(), v.description()});
    }
  } else if (any.UnpackTo(&precondition)) {
    for (const auto& v : precondition.violations()) {
      error->violations.push_back({v.subject(), v.description()});
    }
  } else if (any.UnpackTo(&retry)) {
    error->retry_delay = absl::Seconds(retry.retry_delay().seconds()) +
                         absl::Nanoseconds(retry.retry_delay().nanos());
  }
}

// Reasons whose exit code their status code does not tell, and what to do about them.
struct Advice {
  std::string_view reason;
  int exit_code;
  const char* hint;
};
constexpr Advice kAdvice[] = {
    {"RUN_NOT_FOUND", kExitNotFound, "beamline runs list"},
    {"RUN_AMBIGUOUS", kExitNotFound, "give more of the id; beamline runs list"},
    {"RUN_FINISHED", kExitConflict, "a finished run stays as it is; beamline runs show"},
    {"NOT_POSSIBLE", kExitConflict, "beamline why RUN says how its steps stand"},
    {"DEAD_LETTER_NOT_FOUND", kExitNotFound, "beamline dlq list"},
    {"RUN_NOT_FINISHED", kExitConflict, "cancel it first: beamline cancel"},
    {"REQUEST_ID_REUSED", kExitConflict,
     "this idempotency key has started a run of another flow or other inputs; use another key"},
    {"DIGEST_MISMATCH", kExitConflict, "the flow has changed; look at it again: beamline plan"},
    {"FLOW_NOT_FOUND", kExitNotFound,
     "beamline flow list; the name of a file has a / or ends with .yaml"},
    {"FLOW_AMBIGUOUS", kExitNotFound, "give more of the digest"},
    {"FLOW_INVALID", kExitInvalid, "beamline validate"},
    {"FLOW_NOT_EXECUTABLE", kExitInvalid, "beamline validate"},
    {"INPUTS_INVALID", kExitInvalid, "beamline plan shows the inputs"},
    {"REQUEST_TOO_LARGE", kExitInvalid, "put large inputs in a file that the steps read"},
    {"STORAGE_FULL", kExitFailed, "free space in the data directory: beamline daemon status"},
    {"LOCAL_ONLY", kExitAccess, "do it on the daemon's machine"},
    {"PEER_UNKNOWN", kExitAccess,
     "your certificate needs a name: beamline daemon init-tls --client NAME"},
    {"TASK_NOT_FOUND", kExitNotFound, "beamline inbox"},
    {"TASK_STALE", kExitConflict, "nothing was decided: look at it again with `beamline review`"},
    {"TASK_DECIDED", kExitConflict,
     "it stays as it was decided; beamline inbox shows what is open"},
    {"CHANGES_UNAVAILABLE", kExitConflict, "beamline approve or beamline reject"},
    {"STEPS_BUSY", kExitConflict, "ask again when it has ended"},
    {"NOT_AN_APPROVER", kExitAccess,
     "`beamline review` says who is asked; an approver can hand the vote on: beamline inbox "
     "delegate"},
    {"DECISION_INVALID", kExitInvalid, "`beamline review` shows the form"},
    {"DRAINING", kExitUnreachable, "the daemon is about to end; try again"},
};

const Advice* AdviceFor(std::string_view reason) {
  for (const Advice& advice : kAdvice) {
    if (advice.reason == reason) return &advice;
  }
  return nullptr;
}

}  // namespace

std::string_view ApiError::Metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

void AttachDetails(std::string_view details, absl::Status* status) {
  status->SetPayload(kDetailsUrl, absl::Cord(absl::string_view(details.data(), details.size())));
}

ApiError DescribeError(const absl::Status& status) {
  ApiError error;
  error.message = std::string(status.message());
  absl::optional<absl::Cord> payload = status.GetPayload(kDetailsUrl);
  google::rpc::Status details;
  if (!payload || !details.ParseFromString(std::string(*payload))) return error;
  for (const google::protobuf::Any& any : details.details()) ReadDetail(any, &error);
  return error;
}

int ExitCodeFor(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  if (const Advice* advice = AdviceFor(DescribeError(status).reason)) return advice->exit_code;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kUnauthenticated:
      return kExitAccess;
    case absl::StatusCode::kPermissionDenied:
      return kExitAccess;
    case absl::StatusCode::kResourceExhausted:
      return kExitDenied;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      return kExitConflict;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnreachable;
    default:
      return kExitFailed;
  }
}

int FailWith(const Context& context, const absl::Status& status) {
  ApiError error = DescribeError(status);
  // A message of several lines quotes a log below its first line.
  std::vector<std::string> lines = absl::StrSplit(error.message, '\n');
  std::string message = Printable(lines[0]);
  if (message.empty()) message = "the call failed: " + absl::StatusCodeToString(status.code());
  if (!error.reason.empty()) absl::StrAppend(&message, "  [", Printable(error.reason), "]");
  const Advice* advice = AdviceFor(error.reason);
  Fail(context, ExitCodeFor(status), message);
  for (size_t i = 1; i < lines.size(); ++i) {
    context.err.Write(absl::StrCat("  | ", Printable(lines[i]), "\n"));
  }
  const bool said = advice != nullptr &&
                    (advice->exit_code == kExitConflict || advice->exit_code == kExitNotFound);
  for (const ApiError::Violation& violation : error.violations) {
    // The message, or the advice, may have said it.
    if (said || absl::StrContains(error.message, violation.description)) continue;
    context.err.Write(absl::StrCat("  ", Printable(violation.field),
                                   violation.field.empty() ? "" : ": ",
                                   Printable(violation.description), "\n"));
  }
  if (error.retry_delay) {
    context.err.Write(
        absl::StrCat("  = help: try again in ", ShortDuration(*error.retry_delay), "\n"));
  } else if (advice != nullptr) {
    context.err.Write(absl::StrCat("  = help: ", advice->hint, "\n"));
  }
  return ExitCodeFor(status);
}

}  // namespace beamline::cli
