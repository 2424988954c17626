// The life of a real daemon: asked to end, killed, idle, watched.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

std::string Nap(const std::string& seconds) {
  return absl::StrCat("beamline: flow/v1\nname: nap\nsteps:\n  - {id: nap, run: [sleep, '", seconds,
                      "']}\n  - {id: after, set: {x: 1}}\n");
}

bool AwaitAttempt(Client& client) {
  for (int i = 0; i < 1000; ++i) {
    const auto status = client.Status();
    if (status.ok() && status->attempts_running() > 0) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

TEST_CASE("SIGTERM lets a running step end, starts nothing new, and exits 0") {
  TemporaryDirectory directory;
  std::string id;
  {
    Beamlined daemon(directory.path());
    REQUIRE(daemon.AwaitSocket());
    Client client(daemon.socket());
    id = *client.StartFlow(Nap("0.7"));
    REQUIRE(AwaitAttempt(client));
    daemon.Signal(SIGTERM);
    absl::SleepFor(absl::Milliseconds(200));
    const absl::Status refused = client.StartFlow(Nap("0")).status();
    CHECK(absl::IsUnavailable(refused));
    CHECK(ReasonOf(refused) == "DRAINING");
    CHECK(DetailsOf(refused).has_retry);
    CHECK(*client.Health("") == 2);  // NOT_SERVING
    CHECK(client.Status()->draining());
    CHECK(daemon.AwaitExit() == 0);
    CHECK(access(daemon.socket().c_str(), F_OK) != 0);
    CHECK(daemon.log().find("\"attempts_cut_off\":0") != std::string::npos);
  }
  Beamlined daemon(directory.path());
  REQUIRE(daemon.AwaitSocket());
  Client client(daemon.socket());
  CHECK(client.WaitFor(id) == v1::STATUS_SUCCEEDED);
  CHECK(client.Get(id)->run().steps(0).attempts_size() == 1);  // it was not run again
}

TEST_CASE("a second SIGTERM does not wait for steps; nor does a short grace") {
  for (const bool twice : {true, false}) {
    TemporaryDirectory directory;
    Beamlined daemon(directory.path(), {"--grace", twice ? "30s" : "50ms"});
    REQUIRE(daemon.AwaitSocket());
    Client client(daemon.socket());
    REQUIRE(client.StartFlow(Nap("60")).ok());
    REQUIRE(AwaitAttempt(client));
    daemon.Signal(SIGTERM);
    if (twice) {
      CHECK(daemon.AwaitExit(absl::Milliseconds(300)) == -1);
      daemon.Signal(SIGTERM);
    }
    CHECK(daemon.AwaitExit(absl::Seconds(5)) == 0);
    CHECK(daemon.log().find("\"attempts_cut_off\":1") != std::string::npos);
  }
}

TEST_CASE("the Shutdown call ends the daemon, too") {
  TemporaryDirectory directory;
  Beamlined daemon(directory.path());
  REQUIRE(daemon.AwaitSocket());
  Client client(daemon.socket());
  CHECK(ReasonOf(client.Shutdown(absl::Milliseconds(-1))) == "ARGUMENT_INVALID");
  CHECK(client.Shutdown(absl::Seconds(1)).ok());
  CHECK(daemon.AwaitExit(absl::Seconds(5)) == 0);
}

TEST_CASE("after kill -9 every run that was accepted goes on to its end") {
  TemporaryDirectory directory;
  std::vector<std::string> ids;
  {
    Beamlined daemon(directory.path());
    REQUIRE(daemon.AwaitSocket());
    Client client(daemon.socket());
    for (int i = 0; i < 20; ++i) {
      auto id = client.StartFlow(Nap("0.5"));
      REQUIRE(id.ok());
      ids.push_back(*id);
    }
    daemon.Signal(SIGKILL);
    CHECK(daemon.AwaitExit() == 128 + SIGKILL);
  }
  Beamlined daemon(directory.path());  // over the dead one's socket
  REQUIRE(daemon.AwaitSocket());
  Client client(daemon.socket());
  for (const std::string& id : ids) CHECK(client.WaitFor(id) == v1::STATUS_SUCCEEDED);
  CHECK(daemon.log().find("\"recovered_runs\":20") != std::string::npos);
}

TEST_CASE("an idle daemon ends by itself, but not while a client is connected") {
  TemporaryDirectory directory;
  Beamlined daemon(directory.path(), {"--idle-timeout", "1s"});  // a busy machine connects in less
  REQUIRE(daemon.AwaitSocket());
  {
    Client client(daemon.socket());
    REQUIRE(client.Ping().ok());
    CHECK(daemon.AwaitExit(absl::Milliseconds(1500)) == -1);
  }
  CHECK(daemon.AwaitExit(absl::Seconds(5)) == 0);
}

TEST_CASE("a daemon with a timetable is never idle, until the flow is taken away") {
  TemporaryDirectory directory;
  Beamlined daemon(directory.path(), {"--idle-timeout", "200ms"});
  REQUIRE(daemon.AwaitSocket());
  v1::RegisterFlowRequest request;
  request.set_flow_source(
      "beamline: flow/v1\nname: leap\ntriggers: [{cron: '0 0 29 2 *'}]\n"
      "steps: [{id: a, set: {b: 1}}]\n");
  REQUIRE(Client(daemon.socket()).Register(request).ok());
  CHECK(daemon.AwaitExit(absl::Milliseconds(700)) == -1);
  REQUIRE(Client(daemon.socket()).DeleteFlow("leap").ok());
  CHECK(daemon.AwaitExit(absl::Seconds(5)) == 0);
}

TEST_CASE("an ephemeral daemon runs flows and leaves nothing") {
  TemporaryDirectory directory, temporary;
  Beamlined daemon(directory.path(), {"--ephemeral"}, {"TMPDIR=" + temporary.path()});
  REQUIRE(daemon.AwaitSocket());
  Client client(daemon.socket());
  CHECK(client.Status()->durability() == "memory");
  CHECK(client.WaitFor(*client.StartFlow(Nap("0"))) == v1::STATUS_SUCCEEDED);
  daemon.Signal(SIGTERM);
  CHECK(daemon.AwaitExit() == 0);
  CHECK(std::filesystem::is_empty(temporary.path()));
  CHECK(access((directory.path() + "/runs.db").c_str(), F_OK) != 0);
}

TEST_CASE("the log is one JSON object a line, with ids and without inputs") {
  TemporaryDirectory directory;
  Beamlined daemon(directory.path());
  REQUIRE(daemon.AwaitSocket());
  Client client(daemon.socket());
  v1::StartRunRequest request;
  request.set_flow_source(
      "beamline: flow/v1\nname: f\ninputs: {a: {type: string}, s: {type: string, sensitive: "
      "true}}\n"
      "steps:\n  - {id: bad, env: {S: '${{ inputs.s }}'}, run: 'echo $S >&2; exit 3'}\n");
  request.set_inputs("{\"a\": \"plain-input\", \"s\": \"hunter22-secret\"}");
  const auto started = client.Start(request);
  REQUIRE(started.ok());
  CHECK(client.WaitFor(started->run_id()) == v1::STATUS_FAILED);
  daemon.Signal(SIGTERM);
  REQUIRE(daemon.AwaitExit() == 0);
  const std::string log = daemon.log();
  CHECK(log.find("plain-input") == std::string::npos);
  CHECK(log.find("hunter22") == std::string::npos);
  int about_run = 0;
  for (absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    CHECK(line.substr(0, 9) == "{\"time\":\"");
    CHECK(line.back() == '}');
    const std::string text(line);
    if (text.find("\"run_id\":\"" + started->run_id()) == text.npos) continue;
    ++about_run;
    CHECK(text.find("\"flow_id\":\"" + started->flow_id()) != text.npos);
    CHECK(text.find("\"trace_id\":\"" + started->trace_id()) != text.npos);
  }
  CHECK(about_run == 3);  // started, attempt failed, finished
  CHECK(log.find("\"step_id\":\"bad\"") != std::string::npos);
  // Nothing of the secret is in the data directory any more either.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    CAPTURE(entry.path().string());
    CHECK(content.find("hunter22") == std::string::npos);
  }
}

TEST_CASE("another user is not let in") {
  if (geteuid() != 0) return;  // only root can become somebody else
  TemporaryDirectory directory;
  Beamlined daemon(directory.path());
  REQUIRE(daemon.AwaitSocket());
  // The modes of directory and socket alone keep others out; take them away to meet the second
  // wall.
  std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
  std::filesystem::permissions(daemon.socket(), std::filesystem::perms::all);
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(2);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    daemon.socket().copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) _exit(3);
    char byte;
    _exit(read(fd, &byte, 1) == 0 ? 0 : 4);  // closed without a word
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  for (int i = 0; i < 200 && daemon.log().find("user 65534") == std::string::npos; ++i) {
    absl::SleepFor(absl::Milliseconds(5));  // the refusal is logged after it
  }
  CHECK(daemon.log().find("user 65534") != std::string::npos);
}

}  // namespace
}  // namespace beamline::rpc_testing
