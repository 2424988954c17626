// `beamline doctor`: checks what the commands rely on, here or on the way to a daemon elsewhere,
// and says what to do about what is wrong.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/connect.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/remote.h"
#include "cli/verbs.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

enum class State { kOk, kNote, kBroken };

struct Check {
  std::string name;
  State state = State::kOk;
  std::string detail;
  std::string advice = {};  // what to do; of kNote and kBroken
};

constexpr uint64_t kFreeBytesBroken = uint64_t{100} << 20;
constexpr uint64_t kFreeBytesLow = uint64_t{1} << 30;
constexpr absl::Duration kExpiresSoon = absl::Hours(24 * 14);
constexpr int kSyncs = 20;
constexpr absl::Duration kSlowSync = absl::Milliseconds(20);

Check CheckProgram() {
  const std::string path = FindDaemon();
  if (!path.empty()) return {"beamlined", State::kOk, path};
  return {"beamlined", State::kBroken, "not beside beamline and not in $PATH",
          "install beamlined into the same directory as beamline"};
}

void AddDaemonChecks(const v1::GetDaemonStatusResponse& status, std::vector<Check>* checks) {
  if (status.version() == BEAMLINE_VERSION) {
    checks->push_back({"versions", State::kOk, absl::StrCat("both ", BEAMLINE_VERSION)});
  } else {
    checks->push_back({"versions", State::kNote,
                       absl::StrCat("beamline ", BEAMLINE_VERSION, ", daemon ", status.version()),
                       "beamline daemon stop lets running steps end; then run any command"});
  }
  for (const std::string& problem : status.problems()) {
    checks->push_back({"daemon", State::kBroken, problem, "beamline daemon logs"});
  }
}

// What the daemon that runs says about itself.
std::vector<Check> CheckDaemon(const Context& context) {
  auto client = ConnectToRunning(context);
  if (!client.ok()) {
    return {{"daemon", State::kNote, "none is running on " + context.socket,
             "nothing to do: the first command that needs one starts it"}};
  }
  const auto status = (*client)->GetDaemonStatus();
  if (!status.ok()) {
    return {{"daemon", State::kBroken, std::string(status.status().message()),
             "beamline daemon logs; beamline daemon stop"}};
  }
  std::vector<Check> checks = {
      {"daemon", State::kOk, absl::StrCat("process ", status->pid(), " on ", context.socket)}};
  AddDaemonChecks(*status, &checks);
  if (status->data_dir() != context.data_dir && !status->data_dir().empty()) {
    checks.push_back({"data directory", State::kNote,
                      absl::StrCat("the daemon keeps its data in ", status->data_dir()),
                      "name it with --data-dir, or use another --socket"});
  }
  return checks;
}

// A daemon elsewhere: the way to it, and what it says about itself.
std::vector<Check> CheckRemoteDaemon(const Context& context) {
  const Remote& remote = *context.remote;
  std::vector<Check> checks = {
      {"context", State::kOk, absl::StrCat(context.context, " at ", remote.address)}};
  const absl::Time now = absl::Now();
  const absl::StatusOr<RemoteFiles> files = ReadRemoteFiles(remote, now);
  if (!files.ok()) {
    checks.push_back({"certificate", State::kBroken, std::string(files.status().message()),
                      "get a new one from whoever runs the daemon; beamline context add --force"});
    return checks;
  }
  if (remote.plain()) {
    checks.push_back({"certificate", State::kNote, "none: every user of this machine is served",
                      "start the daemon with --tls-cert, --tls-key and --tls-ca"});
  } else {
    const std::string until = absl::FormatTime("%Y-%m-%d", files->expires, absl::UTCTimeZone());
    checks.push_back({"certificate",
                      files->expires - now < kExpiresSoon ? State::kNote : State::kOk,
                      absl::StrCat(remote.cert, ", valid until ", until),
                      "get a new one before that; beamline context add --force"});
  }
  struct stat info;
  if (!remote.plain() && stat(remote.key.c_str(), &info) == 0 && (info.st_mode & 0077) != 0) {
    checks.push_back(
        {"key", State::kNote, remote.key + " can be read by others", "chmod 600 " + remote.key});
  }
  const auto client = ConnectRemote(remote, kRemoteTimeout);
  if (!client.ok()) {
    checks.push_back({"daemon", State::kBroken, std::string(client.status().message()),
                      "is it running with --listen, and reachable from here?"});
    return checks;
  }
  const auto status = (*client)->GetDaemonStatus();
  if (!status.ok()) {
    checks.push_back({"daemon", State::kBroken, std::string(status.status().message()), ""});
    return checks;
  }
  checks.push_back({"daemon", State::kOk, absl::StrCat("answers at ", remote.address)});
  AddDaemonChecks(*status, &checks);
  return checks;
}

Check CheckSocket(const Context& context) {
  struct stat info;
  if (lstat(context.socket.c_str(), &info) != 0) {
    const absl::Status prepared = PrepareSocketDir(context.socket);
    if (prepared.ok()) return {"socket", State::kOk, "can be made: " + context.socket};
    return {"socket", State::kBroken, std::string(prepared.message()),
            "name another one: --socket, or BEAMLINE_SOCKET"};
  }
  const bool ours = info.st_uid == geteuid() || info.st_uid == 0;
  if (!S_ISSOCK(info.st_mode) || !ours || (info.st_mode & 0077) != 0) {
    return {"socket", State::kBroken,
            context.socket + " is open to others, or is no socket of yours",
            "stop the daemon, remove it, start the daemon again"};
  }
  return {"socket", State::kOk, "only you can use " + context.socket};
}

// `path`, or the nearest one above it that exists.
std::string Existing(const std::string& path) {
  fs::path at = path;
  struct stat info;
  while (lstat(at.c_str(), &info) != 0 && at.has_relative_path()) at = at.parent_path();
  return at.string();
}

Check CheckDataDir(const Context& context) {
  const std::string existing = Existing(context.data_dir);
  const char* advice = "make it yours, or name another one: --data-dir, or BEAMLINE_DATA_DIR";
  std::error_code error;
  if (!fs::is_directory(existing, error)) {
    return {"data directory", State::kBroken, existing + " is no directory", advice};
  }
  if (access(existing.c_str(), W_OK | X_OK) != 0) {
    return {"data directory", State::kBroken,
            absl::StrCat("cannot write to ", existing, ": ", std::strerror(errno)), advice};
  }
  struct stat info;
  if (existing == context.data_dir && stat(existing.c_str(), &info) == 0 &&
      (info.st_mode & 0077) != 0) {
    return {"data directory", State::kNote, existing + " can be read by others",
            "chmod 700 " + existing};
  }
  return {"data directory", State::kOk, context.data_dir};
}

Check CheckSpace(const Context& context) {
  struct statvfs info;
  if (statvfs(Existing(context.data_dir).c_str(), &info) != 0) {
    return {"free space", State::kNote, std::string("unknown: ") + std::strerror(errno), ""};
  }
  const uint64_t bytes = uint64_t{info.f_bavail} * info.f_frsize;
  const std::string detail = bytes >= kFreeBytesLow ? absl::StrCat(bytes >> 30, " GiB")
                                                    : absl::StrCat(bytes >> 20, " MiB");
  if (bytes >= kFreeBytesLow) return {"free space", State::kOk, detail};
  return {"free space", bytes < kFreeBytesBroken ? State::kBroken : State::kNote, "only " + detail,
          "make room; beamline runs rm deletes finished runs"};
}

// The median time of an fdatasync of 4 KiB appended to a new file in `directory`.
std::optional<absl::Duration> SyncTime(const std::string& directory) {
  std::string path = directory + "/.beamline-doctor-XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  unlink(path.c_str());
  const std::string block(4096, 'x');
  std::vector<absl::Duration> times;
  for (int i = 0; i < kSyncs; ++i) {
    const absl::Time start = absl::Now();
    const bool written = write(fd, block.data(), block.size()) == ssize_t{4096};
    if (!written || fdatasync(fd) != 0) break;
    times.push_back(absl::Now() - start);
  }
  close(fd);
  if (times.size() < kSyncs) return std::nullopt;
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Check CheckSync(const Context& context) {
  const std::optional<absl::Duration> time = SyncTime(Existing(context.data_dir));
  if (!time) {
    return {"fdatasync", State::kBroken, "does not work in " + Existing(context.data_dir),
            "use another file system for --data-dir"};
  }
  const std::string detail =
      absl::StrCat(absl::FormatDuration(absl::Trunc(*time, absl::Microseconds(1))), " for 4 KiB");
  if (*time < kSlowSync) return {"fdatasync", State::kOk, detail};
  return {"fdatasync", State::kNote, "slow: " + detail,
          "every step waits for it twice; a local disk is faster"};
}

std::string FindInPath(const std::string& program) {
  for (const auto directory : absl::StrSplit(ProcessEnvironment()("PATH"), ':')) {
    std::string path = absl::StrCat(directory, "/", program);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

Check CheckBash() {
  const std::string path = FindInPath("bash");
  if (!path.empty()) return {"bash", State::kOk, path};
  return {"bash", State::kBroken, "not in $PATH",
          "install it, or write `shell: sh -eu` in your flows"};
}

Check CheckCompletions() {
  const std::string home = ProcessEnvironment()("HOME");
  const std::string shell = fs::path(ProcessEnvironment()("SHELL")).filename().string();
  const std::string word = shell == "zsh" || shell == "fish" ? shell : "bash";
  std::vector<std::string> below_share = {"/bash-completion/completions/beamline"};
  std::vector<std::string> places;
  if (word == "zsh") {
    below_share = {"/zsh/site-functions/_beamline", "/zsh/vendor-completions/_beamline"};
    places = {home + "/.zfunc/_beamline"};
  } else if (word == "fish") {
    below_share = {"/fish/vendor_completions.d/beamline.fish"};
    places = {home + "/.config/fish/completions/beamline.fish"};
  }
  for (const std::string& share :
       {std::string("/usr/share"), std::string("/usr/local/share"), home + "/.local/share"}) {
    for (const std::string& path : below_share) places.push_back(share + path);
  }
  for (const std::string& place : places) {
    if (access(place.c_str(), R_OK) == 0) return {"completions", State::kOk, place};
  }
  return {"completions", State::kNote, "none found for " + word,
          "beamline completion " + word + " --help shows how"};
}

Check CheckTerminal() {
  if (LocaleIsUtf8()) return {"terminal", State::kOk, "UTF-8"};
  return {"terminal", State::kNote, "the locale is not UTF-8; signs are drawn in ASCII",
          "export LANG=C.UTF-8"};
}

// What a daemon of this machine needs.
std::vector<Check> CheckThisMachine(const Context& context) {
  std::vector<Check> checks = {CheckProgram()};
  for (Check& check : CheckDaemon(context)) checks.push_back(std::move(check));
  for (Check (*const check)(const Context&) : {CheckSocket, CheckDataDir, CheckSpace, CheckSync}) {
    checks.push_back(check(context));
  }
  checks.push_back(CheckBash());
  return checks;
}

const char* StateWord(State state) {
  return state == State::kOk ? "ok" : state == State::kNote ? "note" : "broken";
}

std::string ChecksJson(const std::vector<Check>& checks) {
  std::string json = "[";
  const auto add = [&](const char* key, const std::string& value) {
    absl::StrAppend(&json, json.back() == '{' ? "\"" : ",\"", key, "\":");
    flowspec::AppendJsonString(value, &json);
  };
  for (const Check& check : checks) {
    absl::StrAppend(&json, json.size() > 1 ? ",{" : "{");
    add("check", check.name);
    add("state", StateWord(check.state));
    add("detail", check.detail);
    if (!check.advice.empty()) add("advice", check.advice);
    json += '}';
  }
  return json + "]";
}

std::string ChecksText(const std::vector<Check>& checks, const Stream& stream) {
  const bool utf8 = LocaleIsUtf8();
  std::string text;
  for (const Check& check : checks) {
    const char* sign = check.state == State::kOk     ? (utf8 ? "✔" : "+")
                       : check.state == State::kNote ? "!"
                                                     : (utf8 ? "✖" : "x");
    const Ink ink = check.state == State::kOk     ? Ink::kGreen
                    : check.state == State::kNote ? Ink::kYellow
                                                  : Ink::kRed;
    absl::StrAppend(&text, Paint(stream.color, ink, sign), " ", PadRight(check.name, 15), " ",
                    Printable(check.detail), "\n");
    if (check.advice.empty() || check.state == State::kOk) continue;
    absl::StrAppend(&text, std::string(18, ' '),
                    Paint(stream.color, Ink::kDim, absl::StrCat(utf8 ? "→ " : "-> ", check.advice)),
                    "\n");
  }
  return text;
}

}  // namespace

int Doctor(const Arguments&, Context& context) {
  std::vector<Check> checks =
      context.remote ? CheckRemoteDaemon(context) : CheckThisMachine(context);
  checks.push_back(CheckCompletions());
  checks.push_back(CheckTerminal());
  if (context.wants_data()) {
    const int code = PrintData(context, ChecksJson(checks));
    if (code != kExitOk) return code;
  } else {
    context.out.Write(ChecksText(checks, context.out));
  }
  const bool broken = std::any_of(checks.begin(), checks.end(),
                                  [](const Check& check) { return check.state == State::kBroken; });
  return broken ? kExitFailed : kExitOk;
}

}  // namespace beamline::cli
