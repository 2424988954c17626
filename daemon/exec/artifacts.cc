// Globs, symbolic links and sizes are looked at here; the copying is the blob store's.
#include "daemon/exec/artifacts.h"

#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "daemon/exec/printable.h"

namespace beamline::exec {
namespace {

constexpr uint64_t kArtifactBytesMax = uint64_t{1} << 30;
constexpr size_t kMatchesMax = 1000;

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

bool IsDirectory(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// The path without symbolic links; empty if it leads nowhere.
std::string RealPath(const std::string& path) {
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), free);
  return real == nullptr ? std::string() : std::string(real.get());
}

bool IsInside(absl::string_view path, absl::string_view dir) {
  return !dir.empty() &&
         (dir == "/" || (absl::ConsumePrefix(&path, dir) && absl::StartsWith(path, "/")));
}

std::string EscapedForGlob(absl::string_view text) {
  std::string out;
  for (char c : text) {
    if (absl::string_view("*?[]\\").find(c) != absl::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

struct Found {
  std::vector<std::string> files;  // absolute
  bool by_pattern = false;
};

// What the path of `rule` stands for. A file of exactly that name counts before the glob that its
// name may also be.
absl::StatusOr<Found> Find(const ArtifactRule& rule, const std::string& dir) {
  const std::string base = absl::StartsWith(rule.path, "/") ? "" : absl::StrCat(dir, "/");
  const std::string literal = base + rule.path;
  if (Exists(literal)) return Found{{literal}};
  const auto missing = [&](absl::string_view why) {
    return absl::NotFoundError(
        absl::StrCat("artifact \"", rule.name, "\": ", why, " ", rule.path, " in ", dir));
  };
  if (rule.path.find_first_of("*?[") == std::string::npos) return missing("there is no");

  glob_t matches{};
  const int result = glob((EscapedForGlob(base) + rule.path).c_str(), 0, nullptr, &matches);
  std::unique_ptr<glob_t, decltype(&globfree)> owner(&matches, globfree);
  if (result == GLOB_NOSPACE) {
    return absl::ResourceExhaustedError(
        absl::StrCat("artifact \"", rule.name, "\": too much matches ", rule.path));
  }
  std::vector<std::string> files;
  for (size_t i = 0; result == 0 && i < matches.gl_pathc; ++i) {
    if (!IsDirectory(matches.gl_pathv[i])) files.push_back(matches.gl_pathv[i]);
  }
  if (files.empty()) return missing("no file matches");
  if (files.size() > kMatchesMax) {
    return absl::ResourceExhaustedError(absl::StrCat("artifact \"", rule.name, "\": ", files.size(),
                                                     " files match ", rule.path, ", at most ",
                                                     kMatchesMax, " may; pack them into one"));
  }
  return Found{std::move(files), true};
}

absl::StatusOr<run::ArtifactRef> StoreOne(const ArtifactRule& rule, const std::string& file,
                                          const std::string& dir, const std::string& workspace,
                                          ports::BlobStore& blobs) {
  absl::string_view shown = file;
  absl::ConsumePrefix(&shown, absl::StrCat(dir, "/"));
  const std::string what =
      absl::StrCat("artifact \"", rule.name, "\": ", PrintableLine(shown, PATH_MAX));
  if (!IsUtf8(shown)) return absl::FailedPreconditionError(what + " is not a UTF-8 name");
  const std::string real = RealPath(file);
  if (real.empty()) return absl::NotFoundError(what + " is a link that leads nowhere");
  if (!IsInside(real, RealPath(workspace)) && !IsInside(real, RealPath(dir))) {
    return absl::PermissionDeniedError(
        absl::StrCat(what, " lies outside of the workspace, in ", PrintableLine(real, PATH_MAX)));
  }
  if (IsDirectory(real)) {
    return absl::FailedPreconditionError(what + " is a directory; pack it into one file");
  }
  const absl::StatusOr<ports::BlobStore::Stored> stored = blobs.PutFile(real, kArtifactBytesMax);
  if (!stored.ok()) {
    return absl::Status(stored.status().code(),
                        absl::StrCat(what, ": ", stored.status().message()));
  }
  return run::ArtifactRef{rule.name, std::string(shown), stored->sha256, stored->bytes,
                          rule.report};
}

}  // namespace

absl::StatusOr<std::vector<run::ArtifactRef>> StoreArtifacts(absl::Span<const ArtifactRule> rules,
                                                             const std::string& dir,
                                                             const std::string& workspace,
                                                             ports::BlobStore& blobs) {
  std::vector<run::ArtifactRef> refs;
  for (const ArtifactRule& rule : rules) {
    const absl::StatusOr<Found> found = Find(rule, dir);
    if (!found.ok()) return found.status();
    for (const std::string& file : found->files) {
      absl::StatusOr<run::ArtifactRef> ref = StoreOne(rule, file, dir, workspace, blobs);
      if (!ref.ok()) return ref.status();
      ref->by_pattern = found->by_pattern;
      refs.push_back(*std::move(ref));
    }
  }
  return refs;
}

}  // namespace beamline::exec
