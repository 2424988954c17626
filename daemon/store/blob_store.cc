// A blob is written under a temporary name, synced, renamed and its directory synced: whoever sees
// the final name sees the whole content, after a power loss too.
#include "daemon/store/blob_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "daemon/store/file.h"
#include "daemon/store/sha256.h"

namespace beamline::store {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

// Copies `from` until its end, and returns its digest and size.
absl::StatusOr<ports::BlobStore::Stored> Copy(const Fd& from, const std::string& path,
                                              uint64_t bytes_max, const Fd& to,
                                              const std::string& temporary) {
  Sha256 hash;
  ports::BlobStore::Stored stored;
  while (true) {
    absl::StatusOr<std::string> piece = ReadAt(from, stored.bytes, kPieceBytes, path);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) break;
    stored.bytes += piece->size();
    if (stored.bytes > bytes_max) return FileTooLarge(path, bytes_max);
    hash.Update(*piece);
    if (absl::Status s = WriteAll(to, *piece, temporary); !s.ok()) return s;
  }
  stored.sha256 = hash.Hex();
  return stored;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileBlobStore>> FileBlobStore::Open(const std::string& directory) {
  const std::string temporary = directory + "/tmp";
  if (absl::Status s = MakeDirectory(temporary); !s.ok()) return s;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(temporary, error)) {
    std::filesystem::remove(entry.path(), error);
  }
  if (error) return FileError(error.value(), "clean", temporary);
  return std::unique_ptr<FileBlobStore>(new FileBlobStore(directory));
}

std::string FileBlobStore::Parent(const std::string& sha256) const {
  return absl::StrCat(directory_, "/", sha256.substr(0, 2));
}

std::string FileBlobStore::FinalPath(const std::string& sha256) const {
  return absl::StrCat(Parent(sha256), "/", sha256.substr(2));
}

std::string FileBlobStore::TemporaryPath() {
  return absl::StrCat(directory_, "/tmp/", getpid(), "-", next_++);
}

bool FileBlobStore::Has(const std::string& sha256) const {
  struct stat st;
  return stat(FinalPath(sha256).c_str(), &st) == 0;
}

absl::StatusOr<std::string> FileBlobStore::Put(std::string_view content) {
  const std::string sha256 = Sha256Hex(content);
  if (Has(sha256)) {
    // Whoever put it there may not have synced the directory yet, or may have died before.
    if (absl::Status s = SyncDirectory(Parent(sha256)); !s.ok()) return s;
    return sha256;
  }
  const std::string temporary = TemporaryPath();
  absl::StatusOr<Fd> file = OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL);
  if (!file.ok()) return file.status();
  absl::Status status = WriteAll(*file, content, temporary);
  if (status.ok()) status = SyncFile(*file, temporary);
  if (status.ok()) status = Publish(temporary, sha256);
  if (status.ok()) return sha256;
  unlink(temporary.c_str());
  return status;
}

absl::StatusOr<ports::BlobStore::Stored> FileBlobStore::PutFile(const std::string& path,
                                                                uint64_t bytes_max) {
  absl::StatusOr<Fd> from = OpenRegularFile(path);
  if (!from.ok()) return from.status();
  const std::string temporary = TemporaryPath();
  absl::StatusOr<Fd> to = OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL);
  if (!to.ok()) return to.status();
  absl::StatusOr<Stored> stored = Copy(*from, path, bytes_max, *to, temporary);
  absl::Status status = stored.status();
  if (status.ok() && Has(stored->sha256)) {
    unlink(temporary.c_str());
    status = SyncDirectory(Parent(stored->sha256));
    if (!status.ok()) return status;
    return stored;
  }
  if (status.ok()) status = SyncFile(*to, temporary);
  if (status.ok()) status = Publish(temporary, stored->sha256);
  if (status.ok()) return stored;
  unlink(temporary.c_str());
  return status;
}

absl::Status FileBlobStore::Publish(const std::string& temporary, const std::string& sha256) {
  const std::string parent = Parent(sha256);
  if (mkdir(parent.c_str(), 0700) == 0) {
    if (absl::Status s = SyncDirectory(directory_); !s.ok()) return s;
  } else if (errno != EEXIST) {
    return FileError(errno, "create directory", parent);
  }
  const std::string path = FinalPath(sha256);
  // Two writers of the same content rename the same bytes over each other.
  if (rename(temporary.c_str(), path.c_str()) != 0) return FileError(errno, "create", path);
  return SyncDirectory(parent);
}

absl::StatusOr<std::string> FileBlobStore::Get(const std::string& sha256) const {
  if (!IsSha256Hex(sha256)) return absl::NotFoundError("not a digest: " + sha256);
  const std::string path = FinalPath(sha256);
  absl::StatusOr<Fd> file = OpenRegularFile(path);
  if (absl::IsNotFound(file.status())) return absl::NotFoundError("no blob " + sha256);
  if (!file.ok()) return file.status();
  struct stat st;
  if (fstat(file->get(), &st) != 0) return FileError(errno, "look at", path);
  absl::StatusOr<std::string> content = ReadAt(*file, 0, st.st_size, path);
  if (!content.ok()) return content.status();
  if (Sha256Hex(*content) != sha256) {
    return absl::DataLossError(path + " is damaged: its content no longer has its digest");
  }
  return content;
}

std::string FileBlobStore::Path(const std::string& sha256) const {
  return IsSha256Hex(sha256) && Has(sha256) ? FinalPath(sha256) : "";
}

}  // namespace beamline::store
