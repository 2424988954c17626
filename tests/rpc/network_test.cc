// The real daemon on the network: who gets in, who does not, and what those on its own machine
// notice of it.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/remote.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/certificates.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

std::string Flow(const std::string& command) {
  return absl::StrCat("beamline: flow/v1\nname: remote\nsteps:\n  - {id: one, run: '", command,
                      "', capture: text}\n");
}

// Certificates in a directory, and clients that use them.
class Site {
 public:
  Site() {
    ca_.Server("server", now_);
    ca_.Client("ci", "ci@acme", now_);
  }

  std::string At(const std::string& name) const { return directory_.path() + "/" + name; }
  const Authority& ca() const { return ca_; }
  absl::Time now() const { return now_; }
  std::vector<std::string> Flags(const std::string& listen = "127.0.0.1:0") const {
    return {"--listen",  listen,           "--tls-cert", At("server.crt"),
            "--tls-key", At("server.key"), "--tls-ca",   At("ca.crt")};
  }
  cli::Remote RemoteAt(const std::string& address, const std::string& client = "ci") const {
    return {address, At(client + ".crt"), At(client + ".key"), At("ca.crt"), ""};
  }

 private:
  TemporaryDirectory directory_;
  const absl::Time now_ = absl::Now();
  Authority ca_{directory_.path(), "ca"};
};

// A daemon of the site, with a client on its own machine.
struct Served {
  TemporaryDirectory data;
  Beamlined daemon;
  Client local;
  std::string address;

  explicit Served(const std::vector<std::string>& flags)
      : daemon(data.path(), flags), local(daemon.socket()) {
    REQUIRE(daemon.AwaitSocket());
    address = local.Status()->listen();
  }
  // Waits until the log has `text`.
  bool AwaitLog(const std::string& text) const {
    for (const absl::Time end = absl::Now() + kPatience; absl::Now() < end;) {
      if (absl::StrContains(daemon.log(), text)) return true;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  }
};

// The actor that is recorded as having started `run`.
std::string ActorOfRun(Client& client, const std::string& run) {
  const std::vector<v1::ExecutionEvent> events = client.AllEvents(run);
  return events.empty() ? "no events" : events.front().actor();
}

v1::StartRunRequest Request(const std::string& source) {
  v1::StartRunRequest request;
  request.set_flow_source(source);
  return request;
}

// The status of connecting as `remote`.
absl::Status Connecting(const cli::Remote& remote) {
  return cli::ConnectRemote(remote, kPatience).status();
}

int Dial(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int port = 0;
  REQUIRE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  to.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

TEST_CASE("a run over TLS is recorded with the name in the certificate") {
  const Site site;
  Served served(site.Flags());
  CHECK(absl::StartsWith(served.address, "127.0.0.1:"));
  for (const auto& [file, name] : std::vector<std::pair<std::string, std::string>>{
           {"ci", "ci@acme"}, {"bot", "spiffe://acme/bot"}, {"ana", "ana"}}) {
    site.ca().Client(file, name, site.now());
    auto client = cli::ConnectRemote(site.RemoteAt(served.address, file), kPatience);
    REQUIRE(client.ok());
    auto started = (*client)->StartRun(Request(Flow("echo hi")));
    REQUIRE(started.ok());
    CHECK(served.local.WaitFor(started->run_id()) == v1::STATUS_SUCCEEDED);
    CHECK(ActorOfRun(served.local, started->run_id()) == "cert:" + name);
  }
  const auto run = served.local.StartFlow(Flow("echo hi"));
  REQUIRE(run.ok());
  CHECK(ActorOfRun(served.local, *run) == absl::StrCat("uid:", geteuid()));
}

TEST_CASE("a run from elsewhere has a directory of its own while it runs") {
  const Site site;
  Served served(site.Flags());
  auto client = cli::ConnectRemote(site.RemoteAt(served.address), kPatience);
  REQUIRE(client.ok());
  auto started = (*client)->StartRun(
      Request("beamline: flow/v1\nname: two\nsteps:\n  - {id: write, run: 'pwd > where'}\n"
              "  - {id: read, run: 'cat where', capture: text, needs: [write]}\n"));
  REQUIRE(started.ok());
  CHECK(served.local.WaitFor(started->run_id()) == v1::STATUS_SUCCEEDED);
  const auto run = served.local.Get(started->run_id());
  REQUIRE(run.ok());
  CHECK(run->run().workspace() ==
        absl::StrCat(served.data.path(), "/scratch/", started->run_id(), "/workspace"));
  for (int i = 0; i < 1000 && std::filesystem::exists(run->run().workspace()); ++i) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  CHECK_FALSE(std::filesystem::exists(run->run().workspace()));

  v1::StartRunRequest request = Request(Flow("true"));
  request.set_workspace("/");
  const absl::Status refused = (*client)->StartRun(request).status();
  CHECK(absl::IsPermissionDenied(refused));
  CHECK(ReasonOf(refused) == "LOCAL_ONLY");
  CHECK(ReasonOf((*client)->Shutdown(absl::ZeroDuration())) == "LOCAL_ONLY");
  CHECK(served.local.Ping().ok());
}

TEST_CASE("a flow is registered over TLS with its files, and each run has a directory of its own") {
  const Site site;
  Served served(site.Flags());
  auto client = cli::ConnectRemote(site.RemoteAt(served.address), kPatience);
  REQUIRE(client.ok());
  v1::RegisterFlowRequest request;
  request.set_flow_source(
      "beamline: flow/v1\nname: outer\nsteps: [{id: in, flow: {uses: ./inner.flow.yaml}}]\n");
  v1::FlowFile* file = request.add_files();
  file->set_path("inner.flow.yaml");
  file->set_source(
      "beamline: flow/v1\nname: inner\nsteps: [{id: where, run: pwd, capture: text}]\n");
  request.set_workspace("/");
  CHECK(ReasonOf((*client)->RegisterFlow(request).status()) == "LOCAL_ONLY");
  request.set_workspace("");
  const auto registered = (*client)->RegisterFlow(request);
  REQUIRE_MESSAGE(registered.ok(), registered.status().message());
  CHECK(registered->flow().version().workspace() == "");
  CHECK(served.local.GetFlow("outer")->files_size() == 1);
  v1::StartRunRequest start;
  start.set_flow("outer");
  for (const bool remote : {true, false}) {
    CAPTURE(remote);
    const auto started = remote ? (*client)->StartRun(start) : served.local.Start(start);
    REQUIRE_MESSAGE(started.ok(), started.status().message());
    CHECK(served.local.WaitFor(started->run_id()) == v1::STATUS_SUCCEEDED);
    CHECK(served.local.Get(started->run_id())->run().workspace() ==
          absl::StrCat(served.data.path(), "/scratch/", started->run_id(), "/workspace"));
  }
}

TEST_CASE("a handshake that fails is in the log, once in a minute, with who it was and why") {
  const Site site;
  Served served(site.Flags());
  TemporaryDirectory elsewhere;
  const Authority other(elsewhere.path(), "ca");
  other.Client("mallory", "ci@acme", site.now());
  cli::Remote remote = site.RemoteAt(served.address);
  remote.cert = elsewhere.path() + "/mallory.crt";
  remote.key = elsewhere.path() + "/mallory.key";
  for (int i = 0; i < 3; ++i) CHECK_FALSE(Connecting(remote).ok());
  const std::string line = "the TLS handshake with 127.0.0.1 failed: certificate verify failed";
  REQUIRE_MESSAGE(served.AwaitLog(line), served.daemon.log());
  CHECK_FALSE(Connecting(remote).ok());
  CHECK(Connecting(site.RemoteAt(served.address)).ok());
  absl::SleepFor(absl::Milliseconds(1500));  // over the next look
  const std::string log = served.daemon.log();
  CHECK(log.find(line) == log.rfind(line));
}

TEST_CASE("who is not let in, is told why") {
  const Site site;
  Served served(site.Flags());
  const cli::Remote good = site.RemoteAt(served.address);
  TemporaryDirectory elsewhere;
  const Authority other(elsewhere.path(), "ca");
  other.Client("mallory", "ci@acme", site.now());

  cli::Remote remote = good;
  SUBCASE("a certificate of another CA") {
    remote.cert = elsewhere.path() + "/mallory.crt";
    remote.key = elsewhere.path() + "/mallory.key";
    const absl::Status refused = Connecting(remote);
    CHECK(absl::IsUnauthenticated(refused));
    CAPTURE(refused.message());
    CHECK(absl::StrContains(refused.message(), remote.cert));
  }
  SUBCASE("a certificate that has expired") {
    site.ca().Client("old", "ci@acme", site.now() - absl::Hours(24 * 400));
    const absl::Status refused = Connecting(site.RemoteAt(served.address, "old"));
    CHECK(absl::IsUnauthenticated(refused));
    CHECK(absl::StrContains(refused.message(), "old.crt has expired on"));
  }
  SUBCASE("the certificate of a server") {
    remote.cert = site.At("server.crt");
    remote.key = site.At("server.key");
    CHECK(absl::IsUnauthenticated(Connecting(remote)));
  }
  SUBCASE("a daemon that this side does not trust") {
    remote.ca = other.path();
    CHECK(Connecting(remote).message() ==
          "the daemon's certificate is signed by a CA that is not in " + other.path());
  }
  SUBCASE("a daemon of another name") {
    remote.server_name = "build.example.com";
    CHECK(Connecting(remote).message() ==
          "the daemon's certificate is not for the name build.example.com; give the right one with "
          "--server-name");
  }
  SUBCASE("no certificate, and no TLS at all") {
    remote = {.address = served.address};
    CHECK_FALSE(Connecting(remote).ok());
  }
  SUBCASE("nobody there") {
    remote.address = "127.0.0.1:1";
    CHECK(absl::IsUnavailable(Connecting(remote)));
    CHECK(Connecting(remote).message() == "cannot reach 127.0.0.1:1: Connection refused");
  }
  CHECK(Connecting(good).ok());
  CHECK(served.local.Ping().ok());
}

TEST_CASE("certificates are rotated under open connections") {
  const Site site;
  Served served(site.Flags());
  auto open = cli::ConnectRemote(site.RemoteAt(served.address), kPatience);
  REQUIRE(open.ok());

  // All of it anew, from a CA that nobody here knows yet; the key first.
  TemporaryDirectory fresh_directory;
  const Authority fresh(fresh_directory.path(), "ca");
  fresh.Server("server", site.now());
  fresh.Client("ci", "ci@acme", site.now());
  const auto install = [&](const std::string& name) {
    std::filesystem::copy_file(fresh_directory.path() + "/" + name, site.At(name),
                               std::filesystem::copy_options::overwrite_existing);
  };
  install("server.key");
  REQUIRE(served.AwaitLog("certificates not used"));
  CHECK(served.AwaitLog("is not the key of the certificate"));
  REQUIRE(served.local.Status()->problems_size() == 1);
  CHECK(Connecting(site.RemoteAt(served.address)).ok());  // the old pair is still in use

  cli::Remote before = site.RemoteAt(served.address);
  before.ca = site.At("old-ca.crt");
  std::filesystem::copy_file(site.At("ca.crt"), before.ca);
  install("server.crt");
  install("ca.crt");
  REQUIRE(served.AwaitLog("certificates read anew"));
  cli::Remote after = before;
  after.cert = fresh_directory.path() + "/ci.crt";
  after.key = fresh_directory.path() + "/ci.key";
  after.ca = fresh.path();
  bool turned = false;  // server.crt may have been read before ca.crt was there
  for (int i = 0; i < 50 && !turned; ++i) {
    turned = Connecting(after).ok();
    if (!turned) absl::SleepFor(absl::Milliseconds(100));
  }
  CHECK(turned);
  CHECK(absl::IsUnauthenticated(Connecting(before)));
  CHECK(served.local.Status()->problems_size() == 0);
  CHECK((*open)->GetDaemonStatus().ok());
}

TEST_CASE("a thousand connections that say nothing keep nobody out of the unix socket") {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  setrlimit(RLIMIT_NOFILE, &limit);
  const Site site;
  Served served(site.Flags());
  std::vector<int> silent;
  for (int i = 0; i < 1000; ++i) {
    const int fd = Dial(served.address);
    if (fd < 0) break;
    silent.push_back(fd);
    if (i % 3 == 0) (void)!write(fd, "GET / HTTP/1.1\r\n\r\n", 18);  // plain text to the TLS port
  }
  CHECK(silent.size() == 1000);
  for (int i = 0; i < 5; ++i) {
    Client another(served.daemon.socket());
    const absl::Time start = absl::Now();
    const auto run = another.StartFlow(Flow("echo hi"));
    REQUIRE(run.ok());
    CHECK(another.WaitFor(*run) == v1::STATUS_SUCCEEDED);
    CHECK(absl::Now() - start < absl::Seconds(5));
  }
  for (const int fd : silent) close(fd);
  bool back = false;  // those that got in are noticed as gone at the next look
  for (int i = 0; i < 50 && !back; ++i) back = Connecting(site.RemoteAt(served.address)).ok();
  CHECK(back);
}

TEST_CASE("plain TCP serves this machine, under a name that says so") {
  Served served({"--listen", "127.0.0.1:0", "--insecure-loopback"});
  auto client = cli::ConnectRemote({.address = served.address}, kPatience);
  REQUIRE(client.ok());
  auto started = (*client)->StartRun(Request(Flow("true")));
  REQUIRE(started.ok());
  CHECK(ActorOfRun(served.local, started->run_id()) == "anonymous:loopback");
}

TEST_CASE("a daemon that cannot serve the network as told does not start") {
  Site site;
  const auto refused = [](const std::vector<std::string>& flags, int exit_code,
                          const std::string& text) {
    TemporaryDirectory data;
    Beamlined daemon(data.path(), flags);
    CHECK(daemon.AwaitExit() == exit_code);
    const std::string log = daemon.log();
    CAPTURE(log);
    CHECK(absl::StartsWith(log, "beamlined: "));
    CHECK(absl::StrContains(log, text));
    CHECK(std::count(log.begin(), log.end(), '\n') == 1);
  };
  refused({"--listen", "7443"}, 2, "--listen is `7443`, but must be HOST:PORT");
  refused({"--listen", "127.0.0.1:0"}, 78, "--listen needs --tls-cert, --tls-key and --tls-ca");
  refused({"--listen", "0.0.0.0:0", "--insecure-loopback"}, 78,
          "without TLS only this machine may be served");
  refused({"--insecure-loopback"}, 78, "without an address to listen on");
  refused(site.Flags("203.0.113.9:7443"), 78, "cannot listen on 203.0.113.9:7443");
  refused(site.Flags("no.such.host.invalid:7443"), 78, "cannot listen on no.such.host.invalid");
  Served first(site.Flags());
  refused(site.Flags(first.address), 75, "the port is in use");
  site.ca().Server("server", site.now() - absl::Hours(24 * 400));
  refused(site.Flags(), 78, "server.crt has expired on ");
  site.ca().Server("other", site.now());
  std::filesystem::rename(site.At("other.crt"), site.At("server.crt"));
  refused(site.Flags(), 78, "server.key is not the key of the certificate");
  std::filesystem::remove(site.At("server.key"));
  refused(site.Flags(), 78, "cannot read " + site.At("server.key"));
}

}  // namespace
}  // namespace beamline::rpc_testing
