// The door to the network: takes connections from a TCP listener, as many as there is room for, and
// keeps the certificates fresh.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "daemon/rpc/handshakes.h"
#include "daemon/rpc/listener.h"
#include "daemon/rpc/peers.h"
#include "daemon/rpc/tls_files.h"

namespace beamline::rpc {

// Where, and with what, the network is served. All of it outlives the server.
struct Network {
  Listener* listener = nullptr;  // null: not at all
  TlsSource* tls = nullptr;      // null: plain TCP, on a loopback address
  // Told of certificates that were read anew. Any thread.
  std::function<void(const TlsSource::News&)> on_certificates = [](const TlsSource::News&) {};
};

class NetworkDoor {
 public:
  // Hands each connection to `serve`, on a thread of its own. `refused` is told of those that found
  // no room, at most once a second, and of handshakes that failed. The arguments outlive this.
  NetworkDoor(const Network& network, Peers& peers, std::function<void(int fd)> serve,
              std::function<void(std::string)> refused);
  ~NetworkDoor();  // nothing is accepted any more

  uint64_t accepted() const { return accepted_; }

 private:
  void Loop();
  void Admit(int connection);
  void TellRefused();

  const Network& network_;
  Peers& peers_;
  const std::function<void(int fd)> serve_;
  const std::function<void(std::string)> refused_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> accepted_{0};
  // On the thread only.
  uint64_t refusals_ = 0;
  std::string why_refused_;
  Handshakes handshakes_;
  std::thread thread_;
};

}  // namespace beamline::rpc
