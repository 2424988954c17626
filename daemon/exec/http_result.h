// From an HTTP answer, or the lack of one, to the report about the attempt.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/exec/http_client.h"
#include "daemon/exec/redactor.h"
#include "daemon/ports/executor.h"
#include "daemon/run/command.h"

namespace beamline::exec {

// An attempt whose request has ended.
struct EndedRequest {
  std::string path;
  int32_t attempt = 1;
  flowspec::Effect effect = flowspec::Effect::kIdempotent;
  std::string method, shown_url;
  std::vector<std::string> expect;
  std::shared_ptr<const Redactor> redactor;  // null: nothing to hide
  std::optional<run::StopReason> stopped;    // it was asked to end
};

// What became of it.
//
// A status of `expect` succeeds. The output is {"status": 200, "headers": {…}, "json": …} where the
// answer says that it is JSON, else with "body" (text), or "body_base64" where it is not UTF-8.
// Header names are in lower case; the values of repeated ones are joined by ", ".
// Other statuses fail with kind "http:404" and the like, with what Retry-After asks for.
//
// Kinds without a status: input, refused, unavailable, tls, timeout, output (too large, or not what
// it says it is). Where the request may have reached the server and no answer came, and the step's
// effect must not happen twice, the outcome is unknown, not failed.
run::ReportAttempt ConcludeRequest(const EndedRequest& step, const HttpResponse& response);

// For an attempt that came to no request.
run::ReportAttempt NoRequest(const EndedRequest& step, absl::string_view kind,
                             absl::string_view why);

// What an attempt that was asked to end is reported as.
run::ReportAttempt StoppedRequest(const EndedRequest& step);

// Whether the request may have had its effect although there is no whole answer.
bool MayHaveHappened(const HttpResponse& response);

// The kind of a failure, as `retry.match` sees it. REQUIRES: response.failure is one.
const char* KindOf(HttpFailure failure);

// Retry-After, in seconds or as a date (seen from `now`), at most a day; zero if it is not given.
absl::Duration RetryAfter(const HttpResponse& response, absl::Time now);

}  // namespace beamline::exec
