// URLs of requests, taken apart.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace beamline::exec {

struct HttpUrl {
  std::string text;    // the whole, normalised, without a fragment
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case, as the DNS has it; an IPv6 address without brackets
  int port = 0;

  // Where credentials for this URL may go.
  std::string origin() const;
  // For messages: without the query, in which people put keys.
  std::string shown() const;
};

// InvalidArgument: not an absolute http or https URL, or one that brings a user or password along
// (they would show in logs; a name before an `@` also disguises the host).
absl::StatusOr<HttpUrl> ParseHttpUrl(const std::string& text);

// `location` as a server at `base` means it. Errors as above.
absl::StatusOr<HttpUrl> ResolveHttpUrl(const HttpUrl& base, const std::string& location);

// `pairs` ("a=1&b=2", escaped) behind what the URL's query has already. Errors as above.
absl::StatusOr<HttpUrl> AddHttpQuery(const HttpUrl& url, const std::string& pairs);

// Everything but RFC 3986's unreserved characters as %XX.
std::string UrlEscape(absl::string_view text);

}  // namespace beamline::exec
