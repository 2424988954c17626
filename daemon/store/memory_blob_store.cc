// Blobs in a map by digest.
#include "daemon/store/memory_blob_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "daemon/store/file.h"
#include "daemon/store/sha256.h"

namespace beamline::store {

absl::StatusOr<std::string> MemoryBlobStore::Put(std::string_view content) {
  std::string sha256 = Sha256Hex(content);
  ports::MutexLock lock(&mu_);
  blobs_.try_emplace(sha256, content);
  return sha256;
}

absl::StatusOr<ports::BlobStore::Stored> MemoryBlobStore::PutFile(const std::string& path,
                                                                  uint64_t bytes_max) {
  absl::StatusOr<Fd> file = OpenRegularFile(path);
  if (!file.ok()) return file.status();
  struct stat st;
  if (fstat(file->get(), &st) != 0) return FileError(errno, "look at", path);
  if (static_cast<uint64_t>(st.st_size) > bytes_max) return FileTooLarge(path, bytes_max);
  absl::StatusOr<std::string> content = ReadAt(*file, 0, st.st_size, path);
  if (!content.ok()) return content.status();
  absl::StatusOr<std::string> sha256 = Put(*content);
  return Stored{*std::move(sha256), content->size()};
}

absl::StatusOr<std::string> MemoryBlobStore::Get(const std::string& sha256) const {
  ports::MutexLock lock(&mu_);
  auto blob = blobs_.find(sha256);
  if (blob == blobs_.end()) return absl::NotFoundError("no blob " + sha256);
  return blob->second;
}

}  // namespace beamline::store
