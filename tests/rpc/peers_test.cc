#include "daemon/rpc/peers.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "daemon/rpc/listener.h"
#include "tests/rpc/beamlined.h"

namespace beamline::rpc {
namespace {

// One end of a connection of this process with itself; the other is closed with the object.
class Connection {
 public:
  Connection() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) == 0); }
  ~Connection() { close(ends_[1]); }
  int Take() const { return ends_[0]; }

 private:
  int ends_[2];
};

TEST_CASE("a connection is known by the name that the transport gives it") {
  Peers peers(200, 100);
  const auto fd = peers.Admit(Connection().Take());
  REQUIRE(fd.ok());
  CHECK(*fd >= 200);
  CHECK((fcntl(*fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(*fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(peers.Find(absl::StrCat("fd:", *fd)) == geteuid());
  CHECK_FALSE(peers.Find(absl::StrCat("fd:", *fd + 1)));
  CHECK_FALSE(peers.Find("ipv4:10.0.0.1:80"));
  CHECK_FALSE(peers.Find("fd:"));
  close(*fd);
}

TEST_CASE("a closed connection's number is not given to the next one") {
  Peers peers(200, 100);
  const auto first = peers.Admit(Connection().Take());
  REQUIRE(first.ok());
  close(*first);
  const auto second = peers.Admit(Connection().Take());
  REQUIRE(second.ok());
  CHECK(*second != *first);
  CHECK(peers.Connected() == 1);
  close(*second);
  CHECK(peers.Connected() == 0);
}

TEST_CASE("more connections than half the numbers are refused, until some are closed") {
  Peers peers(200, 8);
  std::vector<int> open;
  for (int i = 0; i < 4; ++i) open.push_back(*peers.Admit(Connection().Take()));
  CHECK(absl::IsResourceExhausted(peers.Admit(Connection().Take()).status()));
  close(open.back());
  open.pop_back();
  const auto next = peers.Admit(Connection().Take());
  REQUIRE(next.ok());
  open.push_back(*next);
  for (int fd : open) close(fd);
}

TEST_CASE("a socket whose daemon is gone is taken over, a live one is not") {
  rpc_testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/s";
  auto first = Listener::Bind(path);
  REQUIRE(first.ok());
  const auto second = Listener::Bind(path);
  CHECK(absl::IsAlreadyExists(second.status()));
  (*first)->Close();
  CHECK(access(path.c_str(), F_OK) != 0);

  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{AF_UNIX, {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  close(dead);  // nobody listens any more, but the file stays
  REQUIRE(access(path.c_str(), F_OK) == 0);
  CHECK(Listener::Bind(path).ok());
}

}  // namespace
}  // namespace beamline::rpc
