// One table of settings, read from three places.
#include "daemon/config.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "daemon/model_config.h"
#include "daemon/notify_config.h"
#include "flowspec/reader.h"
#include "flowspec/yaml.h"

namespace beamline::daemon {
namespace {

constexpr size_t kFileBytesMax = 64 << 10;
constexpr int kParallelMax = 4096;

// Sets one setting from its text; returns what is wanted instead, or "".
using Set = std::string (*)(const std::string& text, Config* config);

std::string SetDuration(const std::string& text, absl::Duration* duration) {
  if (text == "0") {
    *duration = absl::ZeroDuration();
    return "";
  }
  const std::optional<absl::Duration> parsed = flowspec::ParseDuration(text);
  if (!parsed) return "a duration as in 30s, 5m or 1h30m";
  *duration = *parsed;
  return "";
}

std::string SetBool(const std::string& text, bool* value) {
  *value = text == "true" || text == "1";
  return *value || text == "false" || text == "0" ? "" : "true or false";
}

std::string SetPath(const std::string& text, std::string* path) {
  *path = text;
  return text.empty() ? "a path" : "";
}

struct Setting {
  const char* key;       // in the file; the flag has dashes for underscores
  const char* variable;  // in the environment
  const char* argument;  // for --help; null: a flag without one
  const char* help;
  Set set;
};

const Setting kSettings[] = {
    {"data_dir", "BEAMLINE_DATA_DIR", "DIR", "where runs are kept ($XDG_STATE_HOME/beamline)",
     [](const std::string& text, Config* config) -> std::string {
       config->data_dir = text;
       return text.empty() ? "a directory" : "";
     }},
    {"socket", "BEAMLINE_SOCKET", "PATH",
     "where to listen ($XDG_RUNTIME_DIR/beamline/default.sock)",
     [](const std::string& text, Config* config) { return SetPath(text, &config->socket); }},
    {"log_level", "BEAMLINE_LOG_LEVEL", "LEVEL", "debug, info, warn or error (info)",
     [](const std::string& text, Config* config) -> std::string {
       const std::optional<LogLevel> level = ParseLogLevel(text);
       if (level) config->log_level = *level;
       return level ? "" : "debug, info, warn or error";
     }},
    {"ephemeral", "BEAMLINE_EPHEMERAL", nullptr,
     "keep everything in memory; nothing outlives the daemon",
     [](const std::string& text, Config* config) { return SetBool(text, &config->ephemeral); }},
    {"idle_timeout", "BEAMLINE_IDLE_TIMEOUT", "TIME",
     "end after this time without runs, timetables and clients; 0 = never (3h; with --listen 0)",
     [](const std::string& text, Config* config) {
       return SetDuration(text, &config->idle_timeout);
     }},
    {"max_parallel", "BEAMLINE_MAX_PARALLEL", "N", "processes of steps at once, over all runs (8)",
     [](const std::string& text, Config* config) -> std::string {
       int n = 0;
       if (!absl::SimpleAtoi(text, &n) || n < 1 || n > kParallelMax) {
         return absl::StrCat("a number from 1 to ", kParallelMax);
       }
       config->max_parallel = n;
       return "";
     }},
    {"grace", "BEAMLINE_GRACE", "TIME",
     "how long running steps may go on when the daemon is to end (30s)",
     [](const std::string& text, Config* config) { return SetDuration(text, &config->grace); }},
    {"listen", "BEAMLINE_LISTEN", "HOST:PORT",
     "serve the network too, over mutual TLS; port 0 = any (not served)",
     [](const std::string& text, Config* config) -> std::string {
       config->listen = text;
       return absl::StrContains(text, ':') ? "" : "HOST:PORT";
     }},
    {"tls_cert", "BEAMLINE_TLS_CERT", "FILE", "the daemon's certificate, PEM; read anew on change",
     [](const std::string& text, Config* config) { return SetPath(text, &config->tls_cert); }},
    {"tls_key", "BEAMLINE_TLS_KEY", "FILE", "its private key",
     [](const std::string& text, Config* config) { return SetPath(text, &config->tls_key); }},
    {"tls_ca", "BEAMLINE_TLS_CA", "FILE", "who signs the certificates of clients",
     [](const std::string& text, Config* config) { return SetPath(text, &config->tls_ca); }},
    {"insecure_loopback", "BEAMLINE_INSECURE_LOOPBACK", nullptr,
     "listen without TLS: every user of this machine is served",
     [](const std::string& text, Config* config) {
       return SetBool(text, &config->insecure_loopback);
     }},
    {"secrets_local", "BEAMLINE_SECRETS_LOCAL", "BOOL",
     "flows may read variables and files of the daemon as secrets (true; with --listen false)",
     [](const std::string& text, Config* config) { return SetBool(text, &config->secrets_local); }},
    {"http_allow", "BEAMLINE_HTTP_ALLOW", "LIST",
     "what http steps may reach that is not public: names and ranges, each with a :port if need be",
     [](const std::string& text, Config* config) -> std::string {
       config->http_allow = text;
       return "";
     }},
    {"http_proxy", "BEAMLINE_HTTP_PROXY", "URL",
     "what requests go through, but for those to http_allow and this machine (none)",
     [](const std::string& text, Config* config) -> std::string {
       config->http_proxy = text;
       return absl::StrContains(text, "://") ? "" : "a URL";
     }},
    {"http_ca_file", "BEAMLINE_HTTP_CA_FILE", "FILE",
     "certificate authorities to trust besides the system's, PEM",
     [](const std::string& text, Config* config) -> std::string {
       config->http_ca_file = text;
       return text.empty() ? "a file" : "";
     }},
};

std::string FlagOf(const Setting& setting) {
  return absl::StrCat("--", absl::StrReplaceAll(setting.key, {{"_", "-"}}));
}

// Which settings have been given a value by a stronger place.
class Loader {
 public:
  explicit Loader(const Environment& environment) : environment_(environment) {}

  absl::Status ReadFlags(const std::vector<std::string>& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      std::string flag = arguments[i];
      std::optional<std::string> value;
      if (const size_t equals = flag.find('='); equals != flag.npos) {
        value = flag.substr(equals + 1);
        flag.resize(equals);
      }
      const auto take = [&]() -> std::optional<std::string> {
        if (!value && i + 1 < arguments.size()) value = arguments[++i];
        return value;
      };
      if (absl::Status status = ReadFlag(flag, value.has_value(), take); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadEnvironment() {
    for (const Setting& setting : kSettings) {
      const std::string value = environment_(setting.variable);
      if (value.empty() || !seen_.insert(setting.key).second) continue;
      const std::string wanted = setting.set(value, &config_);
      if (wanted.empty()) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("$", setting.variable, " is `", value, "`, but must be ", wanted));
    }
    return absl::OkStatus();
  }

  absl::Status ReadFile() {
    std::string path = file_.empty() ? environment_("BEAMLINED_CONFIG") : file_;
    const bool must_exist = !path.empty();
    if (path.empty()) {
      std::string base = environment_("XDG_CONFIG_HOME");
      if (!absl::StartsWith(base, "/")) base = environment_("HOME") + "/.config";
      path = base + "/beamline/beamlined.yaml";
    }
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      if (!must_exist) return absl::OkStatus();
      return absl::FailedPreconditionError(
          absl::StrCat("cannot read the configuration ", path, ": ", strerror(errno)));
    }
    std::string text(kFileBytesMax + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (file.bad() || text.size() > kFileBytesMax) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " is no configuration: it cannot be read, or has over ", kFileBytesMax, " bytes"));
    }
    return ReadYaml(path, text);
  }

  // Fills in what nobody said.
  absl::StatusOr<Config> Finish();
  absl::Status FinishNetwork();

  const Config& config() const { return config_; }

 private:
  absl::Status ReadFlag(const std::string& flag, bool has_value,
                        const std::function<std::optional<std::string>()>& take) {
    if (flag == "--help" || flag == "-h" || flag == "--version") {
      config_.ask = flag == "--version" ? Config::Ask::kVersion : Config::Ask::kHelp;
      return absl::OkStatus();
    }
    const auto missing = [&] {
      return absl::InvalidArgumentError(absl::StrCat(flag, " wants a value"));
    };
    if (flag == "--config") {
      const std::optional<std::string> value = take();
      if (!value) return missing();
      file_ = *value;
      return absl::OkStatus();
    }
    for (const Setting& setting : kSettings) {
      if (flag != FlagOf(setting)) continue;
      const bool bare = setting.argument == nullptr && !has_value;
      const std::optional<std::string> value = bare ? "true" : take();
      if (!value) return missing();
      const std::string wanted = setting.set(*value, &config_);
      seen_.insert(setting.key);
      if (wanted.empty()) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " is `", *value, "`, but must be ", wanted));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("unknown argument `", flag, "`; see beamlined --help"));
  }

  absl::Status ReadYaml(const std::string& path, const std::string& text) {
    const flowspec::LineTable lines(text);
    const auto wrong = [&](const flowspec::Span& span, absl::string_view what) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ":", span.line, ":", span.column, ": ", what));
    };
    flowspec::Findings findings;
    const flowspec::NodePtr root = flowspec::ParseYaml(text, lines, &findings);
    if (root == nullptr) {
      if (findings.front().code == "BL0004") return absl::OkStatus();  // empty, or only comments
      return wrong(findings.front().span, findings.front().message);
    }
    if (!root->is_map()) return wrong({1, 1}, "a configuration is a map of settings");
    std::vector<std::string> keys;
    for (const Setting& setting : kSettings) keys.emplace_back(setting.key);
    keys.insert(keys.end(), {"groups", "notify", "providers", "routes", "workers"});
    for (const auto& [key, value] : root->entries) {
      if (key->text == "providers" || key->text == "routes" || key->text == "notify") {
        const std::optional<ConfigProblem> problem =
            key->text == "notify"      ? ReadNotify(*value, &config_.notify)
            : key->text == "providers" ? ReadProviders(*value, &config_.models)
                                       : ReadRoutes(*value, &config_.models);
        if (problem) return wrong(flowspec::SpanOf(*problem->node, text, lines), problem->what);
        continue;
      }
      const Setting* setting = nullptr;
      for (const Setting& known : kSettings) {
        if (key->text == known.key) setting = &known;
      }
      const flowspec::Span key_span = flowspec::SpanOf(*key, text, lines);
      if (key->text == "workers") {
        const std::string problem = ReadWorkers(*value, &config_.workers);
        if (!problem.empty()) return wrong(key_span, problem);
        continue;
      }
      if (key->text == "groups") {
        const std::string problem = ReadGroups(*value, &config_.groups);
        if (!problem.empty()) return wrong(key_span, problem);
        continue;
      }
      if (setting == nullptr) {
        const std::string near = flowspec::DidYouMean(key->text, keys);
        return wrong(key_span, absl::StrCat("unknown setting `", key->text, "`",
                                            near.empty() ? "" : "; did you mean `" + near + "`?"));
      }
      if (!value->is_scalar()) return wrong(key_span, absl::StrCat(key->text, " is one value"));
      if (!seen_.insert(setting->key).second) continue;
      const std::string wanted = setting->set(value->text, &config_);
      if (!wanted.empty()) {
        return wrong(flowspec::SpanOf(*value, text, lines),
                     absl::StrCat(key->text, " is `", value->text, "`, but must be ", wanted));
      }
    }
    return absl::OkStatus();
  }

  const Environment& environment_;
  Config config_;
  std::string file_;
  std::set<std::string> seen_;
};

std::string Absolute(const std::string& path) {
  std::error_code error;
  std::string absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  if (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

// The same places in which the command line looks for the daemon of a context.
absl::StatusOr<Config> Loader::Finish() {
  std::string context = environment_("BEAMLINE_CONTEXT");
  if (context.empty()) context = "default";
  for (char c : context) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '-') {
      return absl::FailedPreconditionError(
          absl::StrCat("$BEAMLINE_CONTEXT is `", context, "`: letters, digits, . _ - only"));
    }
  }
  const bool own_data_dir = !config_.data_dir.empty();
  if (!own_data_dir) {
    std::string base = environment_("XDG_STATE_HOME");
    if (!absl::StartsWith(base, "/")) {
      const std::string home = environment_("HOME");
      if (!absl::StartsWith(home, "/") && !config_.ephemeral) {
        return absl::FailedPreconditionError(
            "neither $HOME nor $XDG_STATE_HOME is set; name a directory with --data-dir");
      }
      base = home + "/.local/state";
    }
    config_.data_dir = base + "/beamline";
    if (context != "default") config_.data_dir += "/contexts/" + context;
  }
  config_.data_dir = Absolute(config_.data_dir);
  if (config_.socket.empty()) {
    const std::string runtime = environment_("XDG_RUNTIME_DIR");
    const std::string base = absl::StartsWith(runtime, "/")
                                 ? runtime + "/beamline/"
                                 : absl::StrCat("/tmp/beamline-", getuid(), "/");
    config_.socket =
        own_data_dir ? config_.data_dir + "/beamlined.sock" : absl::StrCat(base, context, ".sock");
  }
  config_.socket = Absolute(config_.socket);
  if (absl::Status network = FinishNetwork(); !network.ok()) return network;
  return config_;
}

absl::Status Loader::FinishNetwork() {
  const bool tls = !config_.tls_cert.empty() || !config_.tls_key.empty() || !config_.tls_ca.empty();
  if (config_.listen.empty()) {
    if (!tls && !config_.insecure_loopback) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "TLS files or insecure_loopback without an address to listen on; give --listen HOST:PORT");
  }
  if (config_.insecure_loopback && tls) {
    return absl::FailedPreconditionError(
        "insecure_loopback is for listening without TLS; leave it out, or the TLS files");
  }
  for (std::string* path : {&config_.tls_cert, &config_.tls_key, &config_.tls_ca}) {
    if (config_.insecure_loopback) break;
    if (path->empty()) {
      return absl::FailedPreconditionError(
          "--listen needs --tls-cert, --tls-key and --tls-ca; `beamline daemon init-tls` makes a "
          "set to begin with");
    }
    *path = Absolute(*path);
  }
  // Others rely on a daemon of the network, and the daemon's own secrets are not theirs.
  if (seen_.count("idle_timeout") == 0) config_.idle_timeout = absl::ZeroDuration();
  if (seen_.count("secrets_local") == 0) config_.secrets_local = false;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Config> LoadConfig(const std::vector<std::string>& arguments,
                                  const Environment& environment) {
  Loader loader(environment);
  if (absl::Status status = loader.ReadFlags(arguments); !status.ok()) return status;
  if (loader.config().ask != Config::Ask::kServe) return loader.config();
  if (absl::Status status = loader.ReadEnvironment(); !status.ok()) return status;
  if (absl::Status status = loader.ReadFile(); !status.ok()) return status;
  return loader.Finish();
}

std::string HelpText() {
  std::string text =
      "beamlined: the daemon that runs BeamLine flows; `beamline` starts it when it is needed.\n\n"
      "usage: beamlined [FLAG…]\n\n";
  const auto line = [&](std::string left, absl::string_view right) {
    left.resize(std::max<size_t>(left.size() + 2, 22), ' ');
    absl::StrAppend(&text, "  ", left, right, "\n");
  };
  for (const Setting& setting : kSettings) {
    line(absl::StrCat(FlagOf(setting), setting.argument ? " " : "",
                      setting.argument ? setting.argument : ""),
         setting.help);
  }
  line("--config FILE", "settings as YAML, key: value ($XDG_CONFIG_HOME/beamline/beamlined.yaml)");
  line("--version", "");
  line("--help", "");
  absl::StrAppend(&text,
                  "\nA flag wins over its variable (BEAMLINE_DATA_DIR, BEAMLINE_MAX_PARALLEL, …; "
                  "BEAMLINED_CONFIG\nnames the file), and that over the file.\n\n"
                  "exit codes: 0 ended as asked, 2 wrong flags, 74 the disk failed or is full, 75 "
                  "another daemon\nor program is there, 78 wrong configuration, certificate or "
                  "directory\n");
  return text;
}

}  // namespace beamline::daemon
