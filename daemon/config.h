// What the daemon is told: flags, then the environment, then the configuration file, then defaults.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/exec/llm_provider.h"
#include "daemon/log.h"
#include "daemon/notify/rule.h"

namespace beamline::flowspec {
struct Node;
}

namespace beamline::daemon {

struct Config {
  std::string data_dir;  // absolute
  std::string socket;    // absolute
  LogLevel log_level = LogLevel::kInfo;
  bool ephemeral = false;                        // nothing outlives the process
  absl::Duration idle_timeout = absl::Hours(3);  // zero: never, the default where `listen` is said
  // Workers that serve instead of dialling (only in the file): where, and for which queue ("":
  // all).
  struct Worker {
    std::string endpoint, queue;
  };
  std::vector<Worker> workers;
  // Who approves (only in the file): names of people by group.
  std::map<std::string, std::vector<std::string>> groups;
  int max_parallel = 8;                      // attempts of `run` steps at once
  absl::Duration grace = absl::Seconds(30);  // for running steps, when the daemon is to end
  std::string http_allow;                    // as exec::HttpGuard::Parse reads it
  std::string http_proxy;                    // a URL; empty: none
  std::string http_ca_file;                  // PEM; empty: the system's alone
  exec::LlmProviders models;                 // `providers` and `routes`, of the file only
  std::vector<notify::Rule> notify;          // likewise: who is told of what happens

  std::string listen;                     // "HOST:PORT" of the network; empty: not served
  std::string tls_cert, tls_key, tls_ca;  // PEM files, absolute; all or none
  bool insecure_loopback = false;         // `listen` is on a loopback address, without TLS
  bool secrets_local = true;              // flows may name variables and files of the daemon

  // What a flag asked for instead of a daemon.
  enum class Ask { kServe, kHelp, kVersion } ask = Ask::kServe;
};

// The value of an environment variable; "" if it is not set.
using Environment = std::function<std::string(const char* name)>;

// `arguments` without the program's name. Reads the configuration file: that of --config or
// $BEAMLINED_CONFIG, else $XDG_CONFIG_HOME/beamline/beamlined.yaml where there is one.
// Errors: InvalidArgument, a flag is wrong; FailedPrecondition, something else is; each says where.
absl::StatusOr<Config> LoadConfig(const std::vector<std::string>& arguments,
                                  const Environment& environment);

// Reads the value of `workers`: a list of {endpoint, queue}. What is wrong with it, or "".
// Endpoints are unix sockets and addresses of this machine: what goes there is not encrypted.
std::string ReadWorkers(const flowspec::Node& list, std::vector<Config::Worker>* workers);

// Reads the value of `groups`: a map of lists of names. What is wrong with it, or "".
std::string ReadGroups(const flowspec::Node& map,
                       std::map<std::string, std::vector<std::string>>* groups);

// What --help prints.
std::string HelpText();

}  // namespace beamline::daemon
