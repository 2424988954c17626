// The daemon's HTTP client: one thread, thousands of requests at a time. `http` steps and language
// models ask through it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "daemon/exec/http_guard.h"

namespace beamline::exec {

struct HttpHeader {
  std::string name, value;
  // Credentials: not sent along when a redirect leads to another scheme, host or port.
  bool own_origin = false;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<HttpHeader> headers;
  std::optional<std::string> body;
  absl::Duration timeout = absl::InfiniteDuration();  // from the moment it is let start
  absl::Duration silence_max = absl::Minutes(5);      // without a byte in either direction
  size_t response_bytes_max = 8 << 20;                // of the body, decompressed
  int redirects_max = 10;                             // 0: a redirect is an answer like others
  // May be sent again by itself, when a connection that was kept open turns out to be dead. Others
  // get a new connection each.
  bool repeatable = true;
  // The URL is the daemon's own, from its configuration: the guard is not asked.
  bool configured = false;
  // Called on the client's thread with pieces of the body of a 2xx answer, which is then not kept.
  std::function<void(std::string_view)> on_data;
};

// Why there is no (whole) answer.
enum class HttpFailure {
  kNone,
  kInvalid,      // the request itself: the URL, a header
  kRefused,      // by the guard
  kUnreachable,  // no such host, nobody listens, no connection in time; nothing was sent
  kTls,          // the server cannot prove who it is, or speaks no TLS
  kTimeout,      // out of time, or silent for too long
  kCut,          // the connection ended before the answer did
  kTooLarge,     // over response_bytes_max
  kRedirects,    // too many of them, or one that is not followed
  kMalformed,    // not HTTP, or badly compressed
  kCancelled,
};

struct HttpResponse {
  HttpFailure failure = HttpFailure::kNone;
  std::string message;  // of a failure, one line; may quote the server
  // The request, or a part of it, may have reached a server that did not answer it wholly.
  bool sent = false;
  int status = 0;  // of the last answer; 0 if there was none
  // In order of arrival, names in lower case; of the last answer. At most 256 KiB together.
  std::vector<HttpHeader> headers;
  std::string body;

  // The value of the first header `name` (lower case); null if there is none.
  const std::string* Find(std::string_view name) const;
};

// Thread-safe. Costs nothing before the first Start: no thread, no sockets.
//
// HTTP/1.1 with connections kept open for the next request. TLS certificates are verified. Each
// address is checked by the guard when it is connected to, again after each redirect; nothing but
// http and https is spoken. Proxies of the environment ($http_proxy, …) are not used.
class HttpClient {
 public:
  struct Options {
    HttpGuard guard;
    // Requests go through this proxy ("http://proxy.example:3128"), but for those to this machine
    // and to what the guard's `http_allow` names. Empty: none.
    std::string proxy;
    std::string ca_file;  // PEM, trusted besides the system's; empty: none
    // At once; what comes beyond waits. The limit of open files may say less.
    size_t in_flight_max = 16'384;
    size_t waiting_max = 100'000;
  };

  explicit HttpClient(Options options);
  // Cancels what is under way; `done` of each is called before this returns.
  ~HttpClient();

  // Returns at once. `done` is called exactly once, on a thread of the client, and must not block
  // for long; if the answer is large, on one that others do not wait for.
  uint64_t Start(HttpRequest request, std::function<void(HttpResponse)> done);
  // Unknown ids are ignored (they have ended).
  void Cancel(uint64_t id);

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace beamline::exec
