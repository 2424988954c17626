// A thread of its own: however many knock from the network, the unix socket is not held up.
#include "daemon/rpc/network_door.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace beamline::rpc {
namespace {

// How often the certificates are looked at, and refusals told.
constexpr absl::Duration kLook = absl::Seconds(1);
constexpr absl::Duration kPause = absl::Milliseconds(100);  // until descriptors are free again

void SetUp(int fd) {
  const auto set = [fd](int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof(value));
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  // The kernel finds machines that are gone, and leaves alone clients that only sleep.
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 20);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

NetworkDoor::NetworkDoor(const Network& network, Peers& peers, std::function<void(int fd)> serve,
                         std::function<void(std::string)> refused)
    : network_(network), peers_(peers), serve_(std::move(serve)), refused_(std::move(refused)) {
  thread_ = std::thread([this] { Loop(); });
}

NetworkDoor::~NetworkDoor() {
  stopping_ = true;
  network_.listener->Interrupt();
  thread_.join();
}

void NetworkDoor::Loop() {
  absl::Time next_look = absl::Now() + kLook;
  while (!stopping_) {
    absl::StatusOr<std::optional<int>> connection = network_.listener->Accept(kLook);
    if (!connection.ok()) {
      ++refusals_;
      why_refused_ = std::string(connection.status().message());
      absl::SleepFor(kPause);
    } else if (connection->has_value()) {
      Admit(**connection);
    }
    const absl::Time now = absl::Now();
    if (now < next_look && next_look - now <= kLook) continue;  // longer: the clock was set back
    next_look = now + kLook;
    TellRefused();
    if (network_.tls == nullptr) continue;
    if (std::optional<TlsSource::News> news = network_.tls->Refresh(now)) {
      network_.on_certificates(*news);
    }
  }
}

void NetworkDoor::Admit(int connection) {
  SetUp(connection);
  absl::StatusOr<int> admitted = peers_.AdmitAnyone(connection);
  if (admitted.ok()) {
    ++accepted_;
    if (network_.tls != nullptr) handshakes_.Watch(*admitted, absl::Now());
    return serve_(*admitted);
  }
  ++refusals_;
  why_refused_ = std::string(admitted.status().message());
}

void NetworkDoor::TellRefused() {
  for (std::string& line : handshakes_.Tell(absl::Now())) refused_(std::move(line));
  if (refusals_ == 0) return;
  refused_(refusals_ == 1
               ? why_refused_
               : absl::StrCat(why_refused_, " (", refusals_, " refused within a second)"));
  refusals_ = 0;
}

}  // namespace beamline::rpc
