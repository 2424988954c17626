// Path rules; see places.h.
#include "cli/places.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace beamline::cli {
namespace {

constexpr size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;

absl::Status CheckContext(const std::string& context) {
  if (IsContextName(context)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("`", context, "` is no name for a context: letters, digits, . _ - only"));
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const char* name) {
    const char* value = getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
}

bool IsContextName(std::string_view name) {
  bool plain = !name.empty() && name.size() <= 64 && name[0] != '.';
  for (char c : name) {
    plain = plain && (absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-');
  }
  return plain;
}

std::string ConfigDir(const Environment& environment) {
  std::string base = environment("XDG_CONFIG_HOME");
  if (!absl::StartsWith(base, "/")) base = environment("HOME") + "/.config";
  return base + "/beamline";
}

std::string AbsolutePath(std::string_view path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return std::string(path);
  std::string text = absolute.lexically_normal().string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

absl::StatusOr<std::string> SocketPath(const std::string& context, const Environment& environment) {
  std::string path = environment("BEAMLINE_SOCKET");
  if (path.empty()) {
    if (absl::Status status = CheckContext(context); !status.ok()) return status;
    std::string runtime = environment("XDG_RUNTIME_DIR");
    // The specification of XDG_RUNTIME_DIR: a relative path is invalid and to be ignored.
    path = absl::StartsWith(runtime, "/")
               ? absl::StrCat(runtime, "/beamline/", context, ".sock")
               : absl::StrCat("/tmp/beamline-", getuid(), "/", context, ".sock");
  }
  path = AbsolutePath(path);
  if (path.size() <= kSocketPathMax) return path;
  return absl::InvalidArgumentError(absl::StrCat("the socket's path is longer than ",
                                                 kSocketPathMax, " bytes: ", path,
                                                 "; name a shorter one in BEAMLINE_SOCKET"));
}

absl::StatusOr<std::string> DataDir(const std::string& context, const Environment& environment) {
  if (std::string path = environment("BEAMLINE_DATA_DIR"); !path.empty()) {
    return AbsolutePath(path);
  }
  if (absl::Status status = CheckContext(context); !status.ok()) return status;
  std::string base = environment("XDG_STATE_HOME");
  if (!absl::StartsWith(base, "/")) {
    std::string home = environment("HOME");
    if (!absl::StartsWith(home, "/")) {
      return absl::FailedPreconditionError(
          "neither HOME nor XDG_STATE_HOME is set; name a directory in BEAMLINE_DATA_DIR");
    }
    base = absl::StrCat(home, "/.local/state");
  }
  base = AbsolutePath(base + "/beamline");
  return context == "default" ? base : absl::StrCat(base, "/contexts/", context);
}

absl::Status PrepareSocketDir(const std::string& socket) {
  std::string dir = socket.substr(0, socket.rfind('/'));
  if (dir.empty()) dir = '/';
  struct stat info;
  if (lstat(dir.c_str(), &info) != 0) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(dir).parent_path(), error);
    if (mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::UnavailableError(
          absl::StrCat("cannot create ", dir, ": ", strerror(errno),
                       "; name another place in BEAMLINE_SOCKET or BEAMLINE_DATA_DIR"));
    }
    if (lstat(dir.c_str(), &info) != 0) {
      return absl::UnavailableError(absl::StrCat("cannot use ", dir));
    }
  }
  // A directory in which others may plant files is fine only if they cannot replace ours (sticky).
  bool open = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (info.st_mode & S_ISVTX) == 0;
  bool ours = info.st_uid == getuid() || info.st_uid == 0;
  if (S_ISDIR(info.st_mode) && ours && !open) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      dir, " is not a directory that only you can write to; remove it or set BEAMLINE_SOCKET"));
}

}  // namespace beamline::cli
