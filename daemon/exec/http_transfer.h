// One request on its way: curl's handle for it, and what has come back so far.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/exec/http_client.h"
#include "daemon/exec/http_guard.h"
#include "daemon/exec/http_url.h"
#include "daemon/exec/ip_address.h"

namespace beamline::exec {

// Lives on the client's thread. A request that is redirected goes through BeginHop, Prepare and
// EndHop once for each hop.
class HttpTransfer {
 public:
  // `options` must outlive the transfer.
  HttpTransfer(uint64_t id, HttpRequest request, std::function<void(HttpResponse)> done,
               const HttpClient::Options& options);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Reads the URL of the first request. InvalidArgument.
  absl::Status Parse();
  const HttpGuard::Target& target() const { return target_; }
  // Goes through the configured proxy, which then finds the address.
  bool ThroughProxy() const;

  // Sets the handle up for a connection to one of `addresses` (of the target; none through a
  // proxy), to be over after `timeout_ms` (0: no limit). PermissionDenied: the guard forbids all.
  absl::Status Prepare(const std::vector<IpAddress>& addresses, uint64_t timeout_ms);

  // What curl came to. True: it was a redirect, and the next hop is to begin. Otherwise the
  // response is complete.
  bool EndHop(CURLcode code, bool out_of_time);

  // Ends it without an answer.
  void Fail(HttpFailure failure, std::string message);
  // REQUIRES: a response that is complete. Once.
  std::function<void()> TakeAnswer();
  size_t body_bytes() const { return response_.body.size(); }

  // Bytes went in either direction since the last call.
  bool Moved();

  const uint64_t id;
  CURL* const easy;
  uint64_t deadline_ms = 0;  // of uv_now; 0: none
  uint64_t moved_ms = 0;     // of uv_now: when bytes were last seen to go
  bool running = false;      // curl has it
  const HttpRequest& request() const { return request_; }

 private:
  static curl_socket_t OpenSocket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);

  void SetConnection(uint64_t timeout_ms);
  void SetAnswer();
  void SetMethod();
  void SetHeaders();
  void SetResolved(const std::vector<IpAddress>& addresses);
  bool TakeHeader(absl::string_view line);
  bool TakeBody(std::string_view bytes);
  bool IsRedirect() const;
  bool FollowRedirect();
  void ChangeMethod();
  void DropHeaders(bool (*drop)(const HttpHeader&));
  void Judge(CURLcode code, bool out_of_time);
  bool WasSent() const;

  HttpRequest request_;
  std::function<void(HttpResponse)> done_;
  const HttpClient::Options& options_;
  HttpUrl url_;
  HttpGuard::Target target_;
  HttpResponse response_;
  curl_slist* headers_ = nullptr;
  curl_slist* resolved_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
  absl::Status refused_;  // by the guard, while connecting
  int redirects_ = 0;
  size_t header_bytes_ = 0;
  size_t body_bytes_ = 0;  // delivered or kept
  uint64_t received_ = 0, moved_ = 0;
  bool too_large_ = false;
};

}  // namespace beamline::exec
