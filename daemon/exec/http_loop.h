// curl's multi interface on libuv: what the client's thread does.
#pragma once

#include <curl/curl.h>
#include <uv.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "daemon/exec/authorities.h"
#include "daemon/exec/http_client.h"
#include "daemon/exec/http_resolver.h"
#include "daemon/exec/http_transfer.h"

namespace beamline::exec {

// Everything that runs on the client's thread. Not thread-safe: the methods are called there.
// Sockets are watched by epoll (below libuv), so a thousand that wait cost nothing.
class HttpLoop {
 public:
  // `loop` must outlive it.
  HttpLoop(uv_loop_t* loop, HttpClient::Options options);
  // REQUIRES: Finish was called, and `loop` has ended.
  ~HttpLoop() = default;

  void Start(uint64_t id, HttpRequest request, std::function<void(HttpResponse)> done);
  void Cancel(uint64_t id);
  // Cancels everything and closes its handles.
  void Finish();

 private:
  struct Watch;
  struct Waiting {
    uint64_t id = 0;
    HttpRequest request;
    std::function<void(HttpResponse)> done;
  };

  static int OnSocket(CURL* easy, curl_socket_t socket, int what, void* self, void* watch);
  static int OnTimer(CURLM* multi, long timeout_ms, void* self);

  void Begin(Waiting waiting);
  void Hop(HttpTransfer& transfer);
  void Connect(HttpTransfer& transfer, const std::vector<IpAddress>& addresses);
  void Act(curl_socket_t socket, int events);
  void TakeMessages();
  void End(HttpTransfer& transfer);
  void Fail(HttpTransfer& transfer, HttpFailure failure, std::string message);
  void FillUp();
  void Sweep();
  uint64_t Left(const HttpTransfer& transfer) const;

  uv_loop_t* const loop_;
  const Authorities authorities_;
  HttpClient::Options options_;  // with the authorities' file
  const size_t in_flight_max_;
  CURLM* multi_;
  uv_timer_t timer_;  // curl's
  uv_timer_t sweep_;  // ours, while there are transfers
  HttpResolver resolver_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<HttpTransfer>> transfers_;
  std::deque<Waiting> waiting_;
  bool filling_ = false;
  bool finished_ = false;
};

}  // namespace beamline::exec
