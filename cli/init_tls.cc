// `beamline daemon init-tls`: a directory of certificates, made once and added to later.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/certificates.h"
#include "cli/flow_file.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/run_json.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

struct Pair {
  std::string cert, key;  // paths
  bool exists() const { return Exists(cert) || Exists(key); }
};

// The directory, and what is to be in it.
struct Wanted {
  std::string dir;
  std::vector<std::string> hosts;
  std::vector<std::pair<std::string, Pair>> clients;  // by name
  bool force = false;

  Pair At(const std::string& name) const {
    return {dir + "/" + name + ".crt", dir + "/" + name + ".key"};
  }
  Pair ca() const { return At("ca"); }
  Pair server() const { return At("server"); }
};

// A file name for a client; "spiffe://acme/ci" is spiffe-acme-ci.
std::string FileNameOf(const std::string& client) {
  std::string name = "client-";
  for (const char c : client) {
    const bool plain =
        absl::ascii_isalnum(c) || std::string_view("._@+-").find(c) != std::string::npos;
    if (plain) {
      name += c;
    } else if (name.back() != '-') {
      name += '-';
    }
  }
  return name;
}

// This machine, as its users reach it.
std::vector<std::string> OwnHosts() {
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' && hosts[0] != name) {
    hosts.emplace_back(name);
  }
  return hosts;
}

std::string OwnName() {
  const std::string user = ProcessEnvironment()("USER");
  return user.empty() ? absl::StrCat("uid-", getuid()) : user;
}

Wanted WantedOf(const Arguments& arguments) {
  Wanted wanted;
  wanted.dir = arguments.Has("dir") ? AbsolutePath(arguments.Get("dir"))
                                    : ConfigDir(ProcessEnvironment()) + "/tls";
  wanted.hosts = arguments.All("host");
  wanted.force = arguments.On("force");
  std::vector<std::string> clients = arguments.All("client");
  if (clients.empty() && !wanted.ca().exists()) clients.push_back(OwnName());
  for (const std::string& client : clients) {
    wanted.clients.emplace_back(client, wanted.At(FileNameOf(client)));
  }
  return wanted;
}

// Refuses to overwrite before anything is written. Nothing if all is well, else the exit code.
std::optional<int> CheckWanted(const Context& context, const Wanted& wanted) {
  const auto taken = [&](const Pair& pair) {
    return Fail(context, kExitConflict,
                absl::StrCat(Exists(pair.cert) ? pair.cert : pair.key, " exists already"),
                "--force replaces it; without --host and --client only what is missing is made");
  };
  if (Exists(wanted.ca().cert) != Exists(wanted.ca().key)) {
    return Fail(context, kExitConflict,
                absl::StrCat("of the CA in ", wanted.dir, " only ",
                             Exists(wanted.ca().cert) ? "the certificate" : "the key", " is there"),
                "bring back ca.crt and ca.key, or begin anew in another --dir");
  }
  if (wanted.force) return std::nullopt;
  if (!wanted.hosts.empty() && wanted.server().exists()) return taken(wanted.server());
  for (const auto& [name, pair] : wanted.clients) {
    if (pair.exists()) return taken(pair);
  }
  return std::nullopt;
}

absl::Status MakeDirectory(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(dir).parent_path(), error);
  if (mkdir(dir.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno == EEXIST && std::filesystem::is_directory(dir, error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot make the directory ", dir, ": ", strerror(errno)));
}

absl::Status Write(const Pair& pair, const KeyAndCertificate& made) {
  absl::Status written = WriteFileAtomically(pair.key, made.key, 0600);
  return written.ok() ? WriteFileAtomically(pair.cert, made.cert, 0644) : written;
}

absl::StatusOr<KeyAndCertificate> Authority(const Wanted& wanted, absl::Time now) {
  if (!wanted.ca().exists()) return MakeAuthority(now);
  absl::StatusOr<SourceFile> cert = ReadSource(wanted.ca().cert), key = ReadSource(wanted.ca().key);
  if (!cert.ok()) return cert.status();
  if (!key.ok()) return key.status();
  return KeyAndCertificate{key->text, cert->text};
}

// Makes everything, then writes everything. What was made, as pairs of what and where.
absl::StatusOr<std::vector<std::pair<std::string, Pair>>> Carry(const Wanted& wanted,
                                                                absl::Time now) {
  absl::StatusOr<KeyAndCertificate> authority = Authority(wanted, now);
  if (!authority.ok()) return authority.status();
  std::vector<std::pair<std::string, Pair>> made;
  std::vector<KeyAndCertificate> content;
  const auto add = [&](const std::string& what, const Pair& pair,
                       absl::StatusOr<KeyAndCertificate> one) {
    if (!one.ok()) return one.status();
    made.emplace_back(what, pair);
    content.push_back(*std::move(one));
    return absl::OkStatus();
  };
  absl::Status added;
  if (!wanted.ca().exists()) added = add("ca", wanted.ca(), *authority);
  if (!wanted.hosts.empty() || !wanted.server().exists()) {
    const std::vector<std::string> hosts = wanted.hosts.empty() ? OwnHosts() : wanted.hosts;
    added = add("server", wanted.server(), IssueForServer(*authority, hosts, now));
    if (!added.ok()) return added;
  }
  for (const auto& [name, pair] : wanted.clients) {
    added = add(name, pair, IssueForClient(*authority, name, now));
    if (!added.ok()) return added;
  }
  if (absl::Status directory = MakeDirectory(wanted.dir); !directory.ok()) return directory;
  for (size_t i = 0; i < made.size(); ++i) {
    if (absl::Status written = Write(made[i].second, content[i]); !written.ok()) return written;
  }
  return made;
}

std::string MadeJson(const Wanted& wanted, const std::vector<std::pair<std::string, Pair>>& made) {
  std::string json = absl::StrCat("{\"dir\":", QuoteJson(wanted.dir), ",\"made\":[");
  for (const auto& [what, pair] : made) {
    absl::StrAppend(&json, json.back() == '[' ? "" : ",", "{\"name\":", QuoteJson(what),
                    ",\"cert\":", QuoteJson(pair.cert), ",\"key\":", QuoteJson(pair.key), "}");
  }
  return json + "]}";
}

void HintNext(const Context& context, const Wanted& wanted) {
  const std::string host = wanted.hosts.empty() ? "localhost" : wanted.hosts.front();
  const bool v6 = host.find(':') != std::string::npos;
  Hint(context, absl::StrCat("→ beamlined --listen :7443 --tls-cert ", wanted.server().cert,
                             " --tls-key ", wanted.server().key, " --tls-ca ", wanted.ca().cert));
  for (const auto& [name, pair] : wanted.clients) {
    Hint(context,
         absl::StrCat("→ beamline context add NAME --address ", v6 ? "[" : "", host, v6 ? "]" : "",
                      ":7443 --cert ", pair.cert, " --key ", pair.key, " --ca ", wanted.ca().cert));
  }
  Hint(context, "give a client its two files and ca.crt, and nobody ca.key");
}

}  // namespace

int DaemonInitTls(const Arguments& arguments, Context& context) {
  const Wanted wanted = WantedOf(arguments);
  if (const std::optional<int> code = CheckWanted(context, wanted)) return *code;
  const auto made = Carry(wanted, absl::Now());
  if (!made.ok()) {
    return Fail(context, absl::IsInvalidArgument(made.status()) ? kExitUsage : kExitFailed,
                std::string(made.status().message()));
  }
  if (context.wants_data()) {
    if (int code = PrintData(context, MadeJson(wanted, *made)); code != kExitOk) return code;
  } else {
    for (const auto& [what, pair] : *made) context.out.Write(pair.cert + "\n" + pair.key + "\n");
  }
  if (made->empty()) {
    Hint(context, "there was nothing to make; name a new --client, or --force new files");
    return kExitOk;
  }
  HintNext(context, wanted);
  return kExitOk;
}

}  // namespace beamline::cli
