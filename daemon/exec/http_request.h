// From an attempt's recorded input to the request that carries it out.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/exec/http_client.h"
#include "daemon/ports/executor.h"

namespace beamline::exec {

struct HttpStep {
  HttpRequest request;
  std::string shown_url;            // without the query
  std::vector<std::string> expect;  // "2xx", "404"
};

// Reads Attempt::input, the body of an `http` step:
//   query    maps a name to a text, number, truth value or a list of these; null is left out
//   headers  likewise, without lists; {"secret": name} stands for its value
//   auth     {"bearer": …} or {"basic": {"user": …, "password": …}}
//   body     text goes as it is (text/plain); anything else as JSON, digit for digit, or as a form
//   if
//            a content-type header says application/x-www-form-urlencoded
// `Idempotency-Key` (but for GET, HEAD and OPTIONS), `traceparent` and `User-Agent` are added where
// the step does not set them itself. What comes from a secret is for the URL's own origin only.
// Errors: InvalidArgument with a message for the author of the flow.
absl::StatusOr<HttpStep> ReadHttpStep(const ports::Attempt& attempt, const std::string& user_agent);

// Whether `status` is one of `expect`.
bool IsExpected(const std::vector<std::string>& expect, int status);

}  // namespace beamline::exec
