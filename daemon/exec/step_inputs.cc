// Files are cloned where the file system can (FICLONE), else copied: a hard link would let a step
// change the blob.
#include "daemon/exec/step_inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::exec {
namespace {

constexpr size_t kStampsMax = 1000;
constexpr uint64_t kWholeBytesMax = 256 << 10;  // read at once, and checked against its digest
constexpr size_t kPieceBytes = 16 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool Close() { return fd_ < 0 || close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

absl::Status Failed(const std::string& path) {
  const std::string message =
      absl::StrCat("cannot make a file of an earlier step, ", path, ": ", strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(message)
                                            : absl::UnavailableError(message);
}

absl::Status WriteWhole(const Descriptor& to, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = write(to.get(), content.data(), content.size());
    if (n < 0 && errno != EINTR) return Failed(path);
    content.remove_prefix(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  }
  return absl::OkStatus();
}

// Copies `from`, of which `bytes` are expected.
absl::Status CopyContent(const std::string& from_path, const Descriptor& to, uint64_t bytes,
                         const std::string& path) {
  const Descriptor from(open(from_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (from.get() < 0) return Failed(from_path);
  struct stat info {};
  if (fstat(from.get(), &info) != 0) return Failed(from_path);
  if (static_cast<uint64_t>(info.st_size) != bytes) {
    return absl::DataLossError(
        absl::StrCat(from_path, " is damaged: it has ", info.st_size, " bytes and had ", bytes));
  }
  if (ioctl(to.get(), FICLONE, from.get()) == 0) return absl::OkStatus();
  while (true) {
    const ssize_t n = sendfile(to.get(), from.get(), nullptr, kPieceBytes);
    if (n == 0) return absl::OkStatus();
    if (n < 0 && errno != EINTR) return Failed(path);
  }
}

}  // namespace

bool StepInputs::Ready(const ports::Attempt& attempt) const {
  return std::all_of(attempt.inputs.begin(), attempt.inputs.end(), [&](const Tree& tree) {
    const std::shared_ptr<Copy> copy = Find(attempt.run, tree);
    return tree->files.empty() || (copy != nullptr && copy->made);
  });
}

absl::Status StepInputs::Make(const ports::Attempt& attempt, const std::string& dir) {
  if (mkdir(dir.c_str(), 0700) != 0) return Failed(dir);
  for (size_t i = 0; i < attempt.inputs.size(); ++i) {
    const Tree& tree = attempt.inputs[i];
    if (tree->files.empty()) continue;
    const absl::StatusOr<std::string> copy = MakeCopy(attempt.run, tree, absl::StrCat(dir, ".", i));
    const std::string link = absl::StrCat(dir, "/", tree->step);
    if (copy.ok() && symlink(copy->c_str(), link.c_str()) == 0) continue;
    absl::Status failed = copy.ok() ? Failed(link) : copy.status();
    Remove(attempt.inputs, dir);
    return failed;
  }
  return absl::OkStatus();
}

void StepInputs::Remove(const std::vector<Tree>& trees, const std::string& dir) {
  for (const Tree& tree : trees) unlink(absl::StrCat(dir, "/", tree->step).c_str());
  rmdir(dir.c_str());  // what the step put there itself goes with the run
}

void StepInputs::Forget(const run::RunId& run) {
  ports::MutexLock lock(&mu_);
  copies_.erase(run);
}

std::shared_ptr<StepInputs::Copy> StepInputs::Find(const run::RunId& run, const Tree& tree) const {
  ports::MutexLock lock(&mu_);
  const auto copies = copies_.find(run);
  if (copies == copies_.end()) return nullptr;
  const auto copy = copies->second.find(tree->path);
  if (copy == copies->second.end()) return nullptr;
  const bool same = copy->second->tree == tree || *copy->second->tree == *tree;
  return same ? copy->second : nullptr;
}

std::shared_ptr<StepInputs::Copy> StepInputs::FindOrAdd(const run::RunId& run, const Tree& tree,
                                                        const std::string& dir) {
  std::shared_ptr<Copy> copy = Find(run, tree);
  if (copy != nullptr) return copy;
  copy = std::make_shared<Copy>();
  copy->tree = tree;
  copy->dir = dir;
  ports::MutexLock lock(&mu_);
  copies_[run][tree->path] = copy;
  return copy;
}

void StepInputs::Drop(const run::RunId& run, const std::shared_ptr<Copy>& copy) {
  ports::MutexLock lock(&mu_);
  auto& copies = copies_[run];
  const auto at = copies.find(copy->tree->path);
  if (at != copies.end() && at->second == copy) copies.erase(at);
}

// Where the files of `tree` lie; `dir` if they have to be copied.
absl::StatusOr<std::string> StepInputs::MakeCopy(const run::RunId& run, const Tree& tree,
                                                 const std::string& dir) {
  while (true) {
    const std::shared_ptr<Copy> copy = FindOrAdd(run, tree, dir);
    ports::MutexLock lock(&copy->mu);
    if (copy->made && IsIntact(*copy)) return copy->dir;
    if (!copy->made && copy->dir == dir) {
      absl::Status filled = Fill(*copy);
      copy->made = filled.ok();
      if (filled.ok()) return dir;
      std::error_code ignored;
      std::filesystem::remove_all(dir, ignored);
      Drop(run, copy);
      return filled;
    }
    Drop(run, copy);  // changed by a step, or whoever had begun it failed
  }
}

absl::Status StepInputs::Fill(Copy& copy) {
  std::string last;
  std::vector<std::string> paths;
  for (const ports::ArtifactTree::File& file : copy.tree->files) {
    const std::string path = absl::StrCat(copy.dir, "/", file.place);
    const std::string parent = path.substr(0, path.rfind('/'));
    if (parent != last) {
      std::error_code error;
      std::filesystem::create_directories(parent, error);
      if (error) {
        errno = error.value();
        return Failed(parent);
      }
      last = parent;
      paths.push_back(parent);
    }
    if (absl::Status copied = CopyFile(file, path); !copied.ok()) return copied;
    paths.push_back(path);
  }
  if (copy.tree->files.size() > kStampsMax) return absl::OkStatus();
  for (std::string& path : paths) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return Failed(path);
    copy.stamps.push_back({std::move(path), info.st_ino, static_cast<uint64_t>(info.st_size),
                           info.st_ctim.tv_sec * int64_t{1'000'000'000} + info.st_ctim.tv_nsec});
  }
  return absl::OkStatus();
}

absl::Status StepInputs::CopyFile(const ports::ArtifactTree::File& file, const std::string& to) {
  Descriptor out(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
  if (out.get() < 0) return Failed(to);
  const std::string blob = file.bytes > kWholeBytesMax ? blobs_.Path(file.sha256) : "";
  absl::Status copied;
  if (!blob.empty()) {
    copied = CopyContent(blob, out, file.bytes, to);
  } else {
    const absl::StatusOr<std::string> content = blobs_.Get(file.sha256);
    copied = content.ok() ? WriteWhole(out, *content, to) : content.status();
  }
  if (copied.ok() && !out.Close()) return Failed(to);
  return copied;
}

bool StepInputs::IsIntact(Copy& copy) {
  return std::all_of(copy.stamps.begin(), copy.stamps.end(), [](const Stamp& stamp) {
    struct stat info {};
    return stat(stamp.path.c_str(), &info) == 0 && info.st_ino == stamp.inode &&
           static_cast<uint64_t>(info.st_size) == stamp.bytes &&
           info.st_ctim.tv_sec * int64_t{1'000'000'000} + info.st_ctim.tv_nsec == stamp.changed_ns;
  });
}

}  // namespace beamline::exec
