// Reads, checks and writes the file; see contexts.h.
#include "cli/contexts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "flowspec/expr.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

constexpr size_t kContextsMax = 1000;
constexpr size_t kFileBytesMax = 256 << 10;
constexpr size_t kTextBytesMax = 4096;

struct Key {
  const char* name;
  std::string Remote::*member;
};
constexpr Key kKeys[] = {{"address", &Remote::address},
                         {"cert", &Remote::cert},
                         {"key", &Remote::key},
                         {"ca", &Remote::ca},
                         {"server_name", &Remote::server_name}};

// The file while it is read: turns nodes into errors at their place.
class Source {
 public:
  Source(std::string_view text, const std::string& path) : text_(text), path_(path), lines_(text) {}

  absl::Status Wrong(const flowspec::Span& span, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ":", span.line, ":", span.column, ": ", what));
  }
  absl::Status Wrong(const flowspec::Node& node, absl::string_view what) const {
    return Wrong(flowspec::SpanOf(node, text_, lines_), what);
  }
  flowspec::NodePtr Parse(flowspec::Findings* findings) const {
    return flowspec::ParseYaml(text_, lines_, findings);
  }

  absl::StatusOr<Remote> ReadRemote(const flowspec::Node& node) const {
    if (!node.is_map()) return Wrong(node, "a context is a map of address, cert, key and ca");
    Remote remote;
    for (const auto& [name, value] : node.entries) {
      const Key* known = nullptr;
      for (const Key& key : kKeys) {
        if (name->text == key.name) known = &key;
      }
      if (known == nullptr) return Wrong(*name, absl::StrCat("unknown key `", name->text, "`"));
      if (!value->is_string() || value->text.size() > kTextBytesMax) {
        return Wrong(*value, absl::StrCat("`", known->name, "` must be text"));
      }
      remote.*known->member = value->text;
    }
    const std::string problem = CheckRemote(remote);
    return problem.empty() ? absl::StatusOr<Remote>(remote) : Wrong(node, problem);
  }

  absl::Status ReadRemotes(const flowspec::Node& node, Contexts* contexts) const {
    if (!node.is_map()) return Wrong(node, "`contexts` must be a map of contexts by name");
    if (node.entries.size() > kContextsMax) return Wrong(node, "there are over 1000 contexts");
    for (const auto& [name, value] : node.entries) {
      if (!IsContextName(name->text) || name->text == kLocalContext) {
        return Wrong(*name, "this is no name for a remote context");
      }
      absl::StatusOr<Remote> remote = ReadRemote(*value);
      if (!remote.ok()) return remote.status();
      contexts->remotes.emplace(name->text, *std::move(remote));
    }
    return absl::OkStatus();
  }

 private:
  const std::string_view text_;
  const std::string& path_;
  const flowspec::LineTable lines_;
};

absl::Status FileError(const std::string& path, const char* what) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot ", what, " ", path, ": ", strerror(errno)));
}

}  // namespace

std::string ContextsPath(const Environment& environment) {
  return ConfigDir(environment) + "/contexts.yaml";
}

bool SplitAddress(const std::string& address, std::string* host, std::string* port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  *host = address.substr(0, colon);
  *port = address.substr(colon + 1);
  if (absl::StartsWith(*host, "[") && absl::EndsWith(*host, "]")) {
    *host = host->substr(1, host->size() - 2);
  } else if (absl::StrContains(*host, ":")) {
    return false;
  }
  for (const unsigned char c : *host) {
    if (c <= ' ' || c >= 0x7f || strchr("/?#@%[]\\", c) != nullptr) return false;
  }
  int number = 0;
  return !host->empty() && absl::SimpleAtoi(*port, &number) && number > 0 && number <= 65'535;
}

std::string CheckRemote(const Remote& remote) {
  std::string host, port;
  if (!SplitAddress(remote.address, &host, &port)) {
    return absl::StrCat("`", remote.address, "` is no address: HOST:PORT");
  }
  if (remote.plain()) {
    if (host == "localhost" || host == "::1" || absl::StartsWith(host, "127.")) return "";
    return absl::StrCat("without certificates only this machine can be meant, and `", host,
                        "` is another one; give cert, key and ca");
  }
  for (const std::string* path : {&remote.cert, &remote.key, &remote.ca}) {
    if (path->empty()) return "a remote context needs cert, key and ca";
    if (path->front() != '/') return absl::StrCat("`", *path, "` is no absolute path");
  }
  return "";
}

absl::StatusOr<Contexts> ParseContexts(std::string_view text, const std::string& path) {
  const Source source(text, path);
  Contexts contexts;
  flowspec::Findings findings;
  const flowspec::NodePtr root = source.Parse(&findings);
  for (const flowspec::Finding& finding : findings) {
    if (finding.code == "BL0004") return contexts;  // the file is empty
    return source.Wrong(finding.span, finding.message);
  }
  if (root == nullptr || root->kind == flowspec::Node::Kind::kNull) return contexts;
  if (!root->is_map()) return source.Wrong({1, 1, 0}, "the file must be a map");
  for (const auto& [name, value] : root->entries) {
    if (name->text == "current") {
      if (!value->is_string() || !IsContextName(value->text)) {
        return source.Wrong(*value, "`current` must be the name of a context");
      }
      contexts.current = value->text;
    } else if (name->text == "contexts") {
      absl::Status read = source.ReadRemotes(*value, &contexts);
      if (!read.ok()) return read;
    } else {
      return source.Wrong(*name, absl::StrCat("unknown key `", name->text, "`"));
    }
  }
  return contexts;
}

absl::StatusOr<Contexts> ReadContexts(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return Contexts{};
    return FileError(path, "read");
  }
  if (!S_ISREG(info.st_mode) || info.st_size > static_cast<off_t>(kFileBytesMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no file of contexts, or has over 256 KiB"));
  }
  if ((info.st_uid != geteuid() && info.st_uid != 0) || (info.st_mode & 0022) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        path, " can be written by others, who could lead you to a daemon of theirs; chmod 600 ",
        path, " once you have looked at it"));
  }
  absl::StatusOr<SourceFile> file = ReadSource(path);
  if (!file.ok()) return file.status();
  return ParseContexts(file->text, path);
}

absl::Status WriteContexts(const std::string& path, const Contexts& contexts) {
  std::string text = "# The contexts of beamline; `beamline context` writes this file.\n";
  if (!contexts.current.empty()) {
    absl::StrAppend(&text, "current: ", flowspec::QuoteJson(contexts.current), "\n");
  }
  if (!contexts.remotes.empty()) text += "contexts:\n";
  for (const auto& [name, remote] : contexts.remotes) {
    absl::StrAppend(&text, "  ", flowspec::QuoteJson(name), ":\n");
    for (const Key& key : kKeys) {
      const std::string& value = remote.*key.member;
      if (value.empty()) continue;
      absl::StrAppend(&text, "    ", key.name, ": ", flowspec::QuoteJson(value), "\n");
    }
  }
  const std::string directory = std::filesystem::path(path).parent_path().string();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(directory).parent_path(), error);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return FileError(directory, "make");
  return WriteFileAtomically(path, text, 0600);
}

}  // namespace beamline::cli
