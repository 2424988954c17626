#include "daemon/config.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>

#include "tests/rpc/beamlined.h"

namespace beamline::daemon {
namespace {

using Variables = std::map<std::string, std::string>;

absl::StatusOr<Config> Load(const std::vector<std::string>& arguments, Variables variables = {}) {
  variables.emplace("HOME", "/home/ada");
  return LoadConfig(arguments, [&](const char* name) { return variables[name]; });
}

std::string ErrorOf(const absl::StatusOr<Config>& config) {
  return std::string(config.status().message());
}

TEST_CASE("without being told anything, the daemon is where the command line looks for it") {
  auto config = Load({});
  REQUIRE(config.ok());
  CHECK(config->data_dir == "/home/ada/.local/state/beamline");
  CHECK(config->idle_timeout == absl::Hours(3));
  CHECK(config->grace == absl::Seconds(30));
  config = Load({}, {{"XDG_STATE_HOME", "/state"},
                     {"XDG_RUNTIME_DIR", "/run/user/7"},
                     {"BEAMLINE_CONTEXT", "work"}});
  REQUIRE(config.ok());
  CHECK(config->data_dir == "/state/beamline/contexts/work");
  CHECK(config->socket == "/run/user/7/beamline/work.sock");
}

TEST_CASE("a data directory of one's own has its socket inside") {
  const auto config = Load({"--data-dir", "/srv/b/"}, {{"XDG_RUNTIME_DIR", "/run/user/7"}});
  REQUIRE(config.ok());
  CHECK(config->socket == "/srv/b/beamlined.sock");
}

TEST_CASE("a flag wins over the environment, and that over the file") {
  rpc_testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/b.yaml";
  std::ofstream(path) << "# ours\nmax_parallel: 3\ngrace: 1m\nidle_timeout: 0\n";
  const Variables variables = {
      {"BEAMLINED_CONFIG", path}, {"BEAMLINE_GRACE", "2m"}, {"BEAMLINE_MAX_PARALLEL", "5"}};
  const auto config = Load({"--max-parallel=7"}, variables);
  REQUIRE(config.ok());
  CHECK(config->max_parallel == 7);
  CHECK(config->grace == absl::Minutes(2));
  CHECK(config->idle_timeout == absl::ZeroDuration());
}

TEST_CASE(
    "a daemon of the network waits for ever and keeps its secrets, unless it is told not to") {
  const std::vector<std::string> network = {"--listen",  "build:7443", "--tls-cert", "/c",
                                            "--tls-key", "/k",         "--tls-ca",   "/a"};
  CHECK(Load({})->secrets_local);
  auto config = Load(network);
  REQUIRE(config.ok());
  CHECK(config->listen == "build:7443");
  CHECK_FALSE(config->secrets_local);
  CHECK(config->idle_timeout == absl::ZeroDuration());
  config = Load(network, {{"BEAMLINE_SECRETS_LOCAL", "true"}, {"BEAMLINE_IDLE_TIMEOUT", "1h"}});
  REQUIRE(config.ok());
  CHECK(config->secrets_local);
  CHECK(config->idle_timeout == absl::Hours(1));
  CHECK(ErrorOf(Load({"--listen", "[::1]:1", "--insecure-loopback", "--tls-ca", "/a"})) ==
        "insecure_loopback is for listening without TLS; leave it out, or the TLS files");
  CHECK(ErrorOf(Load({"--secrets-local", "maybe"})) ==
        "--secrets-local is `maybe`, but must be true or false");
}

TEST_CASE("mistakes in the file are told with their place") {
  rpc_testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/b.yaml";
  const auto load = [&](const char* text) {
    std::ofstream(path) << text;
    return Load({"--config", path});
  };
  CHECK(ErrorOf(load("grace: 1m\nmax_paralel: 3\n")) ==
        path + ":2:1: unknown setting `max_paralel`; did you mean `max_parallel`?");
  CHECK(ErrorOf(load("grace: soon\n")) ==
        path + ":1:8: grace is `soon`, but must be a duration as in 30s, 5m or 1h30m");
  CHECK(ErrorOf(load("- a\n")) == path + ":1:1: a configuration is a map of settings");
  CHECK(ErrorOf(load("grace: [1m]\n")) == path + ":1:1: grace is one value");
  CHECK(absl::IsFailedPrecondition(load("a: {").status()));
  CHECK(absl::IsFailedPrecondition(Load({"--config", "/no/such/file"}).status()));
  CHECK(load("# nothing\n").ok());
}

TEST_CASE("who belongs to which group is said in the file") {
  rpc_testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/b.yaml";
  const auto load = [&](const char* text) {
    std::ofstream(path) << text;
    return Load({"--config", path});
  };
  const auto config = load("groups: {editors: [ada, 'cert:ci@acme'], ops: []}\n");
  REQUIRE(config.ok());
  CHECK(config->groups.at("editors") == std::vector<std::string>{"ada", "cert:ci@acme"});
  CHECK(config->groups.at("ops").empty());
  CHECK(ErrorOf(load("groups: [ada]\n")) ==
        path + ":1:1: groups maps names to lists of people, as in {editors: [ada, grace]}");
  CHECK_FALSE(load("groups: {editors: ada}\n").ok());
  CHECK_FALSE(load("groups: {editors: [{name: ada}]}\n").ok());
}

TEST_CASE("who is told of what is said in the file") {
  rpc_testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/b.yaml";
  const auto load = [&](const std::string& text) {
    std::ofstream(path) << text;
    return Load({"--config", path});
  };
  const auto config = load(
      "notify:\n"
      "  - name: chat\n"
      "    on: [approval_requested, run_failed]\n"
      "    flow: article\n"
      "    labels: {team: red}\n"
      "    webhook: {url: 'https://chat.example/hook', secret: {env: HOOK_SECRET},\n"
      "              headers: {authorization: {file: /etc/token}, x-room: ops}}\n"
      "    give_up_after: 1h\n"
      "  - {name: mail, on: dead_letter, command: [/usr/bin/tell, ops], timeout: 5s}\n");
  REQUIRE_MESSAGE(config.ok(), config.status().message());
  REQUIRE(config->notify.size() == 2);
  const notify::Rule& chat = config->notify[0];
  CHECK(chat.kinds ==
        std::vector<notify::Kind>{notify::Kind::kApprovalRequested, notify::Kind::kRunFailed});
  CHECK(chat.flows == std::vector<std::string>{"article"});
  CHECK(chat.labels == run::Labels{{"team", "red"}});
  CHECK(chat.url == "https://chat.example/hook");
  CHECK(chat.secret->env == "HOOK_SECRET");
  CHECK(chat.headers[0].second.file == "/etc/token");
  CHECK(chat.headers[1].second.plain == "ops");
  CHECK(chat.give_up_after == absl::Hours(1));
  CHECK(config->notify[1].command == std::vector<std::string>{"/usr/bin/tell", "ops"});
  CHECK(config->notify[1].timeout == absl::Seconds(5));

  // What stands before `rest` is right.
  const auto wrong = [&](const std::string& rest, const std::string& error) {
    CHECK(ErrorOf(load("notify:\n  - name: chat\n    " + rest + "\n")) == path + error);
  };
  const std::string ok = "on: run_failed\n    ";
  wrong("on: run_fail",
        ":3:9: nothing is called `run_fail`; there are approval_requested, approval_delegated, "
        "approval_escalated, approval_expired, step_parked, dead_letter, run_succeeded, "
        "run_failed, run_cancelled");
  wrong("command: [a]", ":2:5: on is missing: a list as in [run_failed]");
  wrong(ok + "command: [a]\n    webhook: {url: 'http://h/'}",
        ":2:5: chat: one of command and webhook is to be given");
  wrong(ok + "command: a b", ":4:5: command is a list of texts");
  wrong(ok + "webhook: {url: 'ftp://h/'}",
        ":4:20: url: `ftp://h/` is no URL for `http`: it begins with http:// or https://");
  wrong(ok + "webhook: {headers: {}}", ":4:5: url is missing");
  wrong(ok + "webhook: {url: 'http://h/', secret: hush}",
        ":4:33: secret is {env: NAME} or {file: PATH}");
  wrong(ok + "webhook: {url: 'http://h/', headers: {Webhook-Id: x}}",
        ":4:43: the header webhook-id is set by the daemon");
  wrong(ok + "timeout: 1h", ":4:14: timeout is at most 10m");
  wrong(ok + "give_up_after: never", ":4:20: give_up_after is a duration as in 30s, 5m or 1h30m");
  wrong(ok + "retries: 3",
        ":4:5: unknown key `retries`: name, on, flow, labels, command, webhook, timeout or "
        "give_up_after");
  wrong(ok + "command: [a]\n  - name: chat\n    " + ok + "command: [a]",
        ":5:5: two are named chat");
  CHECK(ErrorOf(load("notify: {}\n")) ==
        path + ":1:9: notify is a list of {name, on, webhook or command}");
  CHECK(ErrorOf(load("notify: [{name: A B}]\n")) ==
        path + ":1:17: a name has a-z, 0-9, . _ - and at most 64 of them");
}

TEST_CASE("workers that are called are named in the file, on this machine") {
  rpc_testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/b.yaml";
  const auto load = [&](const char* text) {
    std::ofstream(path) << text;
    return Load({"--config", path});
  };
  const auto config = load(
      "workers:\n  - {endpoint: 'unix:/run/w.sock', queue: q}\n  - endpoint: localhost:7000\n");
  REQUIRE(config.ok());
  REQUIRE(config->workers.size() == 2);
  CHECK(config->workers[0].endpoint == "unix:/run/w.sock");
  CHECK(config->workers[0].queue == "q");
  CHECK(config->workers[1].queue == "");
  CHECK(ErrorOf(load("workers: 7\n")) ==
        path + ":1:1: workers is a list of {endpoint: …, queue: …}");
  CHECK(ErrorOf(load("workers: [{endpoint: 'example.org:80'}]\n")) ==
        path +
            ":1:1: the endpoint `example.org:80` must be unix:/PATH, or a port of this machine "
            "as in 127.0.0.1:7000");
  CHECK_FALSE(load("workers: [{endpoint: 'localhost:70000'}]\n").ok());
  CHECK_FALSE(load("workers: [{queue: q}]\n").ok());
}

TEST_CASE("mistakes in flags and variables name them") {
  CHECK(ErrorOf(Load({"--port", "80"})) == "unknown argument `--port`; see beamlined --help");
  CHECK(ErrorOf(Load({"--grace"})) == "--grace wants a value");
  CHECK(ErrorOf(Load({"--max-parallel", "0"})) ==
        "--max-parallel is `0`, but must be a number from 1 to 4096");
  CHECK(absl::IsInvalidArgument(Load({"--log-level=loud"}).status()));
  CHECK(ErrorOf(Load({}, {{"BEAMLINE_LOG_LEVEL", "loud"}})) ==
        "$BEAMLINE_LOG_LEVEL is `loud`, but must be debug, info, warn or error");
  CHECK(ErrorOf(Load({}, {{"BEAMLINE_CONTEXT", "../x"}})) ==
        "$BEAMLINE_CONTEXT is `../x`: letters, digits, . _ - only");
}

}  // namespace
}  // namespace beamline::daemon
