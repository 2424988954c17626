// Listener::BindTcp: a name or address of this machine becomes a listening socket.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/rpc/listener.h"

namespace beamline::rpc {
namespace {

constexpr int kBacklog = 512;

struct HostPort {
  std::string host;  // without brackets; empty: every address
  std::string port;
};

absl::StatusOr<HostPort> Split(const std::string& address) {
  const absl::Status wrong = absl::InvalidArgumentError(
      absl::StrCat("`", address, "` is no address to listen on; write HOST:PORT"));
  const size_t colon = address.rfind(':');
  if (colon == address.npos) return wrong;
  HostPort split{address.substr(0, colon), address.substr(colon + 1)};
  if (absl::StartsWith(split.host, "[") && absl::EndsWith(split.host, "]")) {
    split.host = split.host.substr(1, split.host.size() - 2);
  } else if (absl::StrContains(split.host, ":")) {
    return wrong;
  }
  int number = -1;
  if (!absl::SimpleAtoi(split.port, &number) || number < 0 || number > 65'535) return wrong;
  return split;
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return (ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24) == 127;
  }
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// "127.0.0.1:7443", "[::1]:7443" of the socket `fd`.
std::string NameOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof(host), port,
                  sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return address.ss_family == AF_INET6 ? absl::StrCat("[", host, "]:", port)
                                       : absl::StrCat(host, ":", port);
}

// A listening socket, or -1 and errno.
int ListenOn(const addrinfo& info) {
  const int fd =
      socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, info.ai_protocol);
  if (fd < 0) return -1;
  const int on = 1;
  // A port is free again as soon as its last daemon has ended.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, info.ai_addr, info.ai_addrlen) == 0 && listen(fd, kBacklog) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::BindTcp(const std::string& address,
                                                            bool loopback_only) {
  const absl::StatusOr<HostPort> split = Split(address);
  if (!split.ok()) return split.status();
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = split->host.empty() ? AF_INET6 : AF_UNSPEC;  // [::] is for IPv4 as well
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const int failed = getaddrinfo(split->host.empty() ? nullptr : split->host.c_str(),
                                 split->port.c_str(), &hints, &found);
  if (failed != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on ", address, ": ",
                                                   gai_strerror(failed),
                                                   "; name an address of this machine"));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  if (loopback_only && !IsLoopback(found->ai_addr)) {
    return absl::InvalidArgumentError(
        absl::StrCat("without TLS only this machine may be served, and ", address,
                     " can be reached by others; give --tls-cert, --tls-key and --tls-ca"));
  }
  const int fd = ListenOn(*found);
  if (fd < 0) {
    const std::string what = absl::StrCat("cannot listen on ", address);
    if (errno == EADDRINUSE) {
      return absl::AlreadyExistsError(
          absl::StrCat(what, ": the port is in use; stop what uses it, or name another --listen"));
    }
    if (errno == EADDRNOTAVAIL) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": no such address here; name one of this machine, or none"));
    }
    return absl::ErrnoToStatus(errno, what);
  }
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    close(fd);
    return absl::ErrnoToStatus(errno, "cannot make an event descriptor");
  }
  return std::unique_ptr<Listener>(new Listener(fd, wake_fd, NameOf(fd), 0, 0));
}

}  // namespace beamline::rpc
