// Names are random per process: what an earlier one left is never taken for output.
#include "daemon/exec/scratch.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace beamline::exec {
namespace {

constexpr char kWorkspace[] = "/workspace";

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  const std::string message =
      absl::StrCat("cannot make the step's directory ", path, ": ", strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(message)
                                            : absl::UnavailableError(message);
}

}  // namespace

std::string WorkspaceOf(const std::string& root, const run::RunId& run) {
  return absl::StrCat(root, "/", run.ToString(), kWorkspace);
}

Scratch::Scratch(std::string root) : root_(std::move(root)) {
  uint64_t random = 0;
  (void)!getrandom(&random, sizeof random, 0);
  prefix_ = absl::StrCat(absl::Hex(random, absl::kZeroPad16), "-");
}

absl::StatusOr<std::string> Scratch::NewPath(const run::RunId& run) {
  if (!made_.contains(run)) {
    absl::Status made = MakeDirectory(root_);
    if (made.ok()) made = MakeDirectory(DirectoryOf(run));
    if (!made.ok()) return made;
    made_.insert(run);
  }
  return absl::StrCat(DirectoryOf(run), "/", prefix_, next_++);
}

absl::Status Scratch::MakeWorkspace(const std::string& workspace) {
  absl::string_view id = workspace;
  if (!absl::ConsumePrefix(&id, absl::StrCat(root_, "/")) ||
      !absl::ConsumeSuffix(&id, kWorkspace)) {
    return absl::OkStatus();
  }
  const std::optional<run::RunId> run = run::RunId::Parse({id.data(), id.size()});
  if (!run) return absl::OkStatus();
  absl::Status made = MakeDirectory(root_);
  if (made.ok()) made = MakeDirectory(DirectoryOf(*run));
  return made.ok() ? MakeDirectory(workspace) : made;
}

void Scratch::Forget(const run::RunId& run) {
  made_.erase(run);
  std::error_code ignored;  // what stays is removed by whoever cleans the work directory
  std::filesystem::remove_all(DirectoryOf(run), ignored);
}

std::string Scratch::DirectoryOf(const run::RunId& run) const {
  return absl::StrCat(root_, "/", run.ToString());
}

}  // namespace beamline::exec
