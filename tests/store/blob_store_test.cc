// What every blob store must do, and what only the one on disk can.
#include "daemon/store/blob_store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "daemon/store/memory_blob_store.h"
#include "daemon/store/sha256.h"
#include "runs.h"

namespace beamline::store {
namespace {

// https://www.di-mgt.com.au/sha_testvectors.html
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

struct InMemory {
  MemoryBlobStore store;
  TempDir files;  // what PutFile reads
  ports::BlobStore* operator->() { return &store; }
};

struct OnDisk {
  TempDir directory, files;
  std::unique_ptr<FileBlobStore> store = FileBlobStore::Open(directory.path() + "/blobs").value();
  ports::BlobStore* operator->() { return store.get(); }
};

std::string WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

size_t FilesIn(const std::string& directory) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    files += entry.is_regular_file() ? 1 : 0;
  }
  return files;
}

TEST_CASE_TEMPLATE("content is found by its digest", Store, InMemory, OnDisk) {
  Store store;
  CHECK(store->Put("abc").value() == kAbc);
  CHECK(store->Put("abc").value() == kAbc);  // again: nothing new
  CHECK(store->Get(kAbc).value() == "abc");
  const std::string empty = store->Put("").value();
  CHECK(store->Get(empty).value() == "");
  const std::string zeros(300'000, '\0');
  CHECK(store->Get(store->Put(zeros).value()).value() == zeros);
}

TEST_CASE_TEMPLATE("what is not there is not found, whatever the name", Store, InMemory, OnDisk) {
  Store store;
  CHECK(absl::IsNotFound(store->Get(kAbc).status()));
  CHECK(absl::IsNotFound(store->Get("").status()));
  CHECK(absl::IsNotFound(store->Get("../../../../etc/passwd").status()));
  CHECK(store->Path("../../../../etc/passwd") == "");
  CHECK(store->Path(kAbc) == "");
}

TEST_CASE_TEMPLATE("a file is taken in", Store, InMemory, OnDisk) {
  Store store;
  const std::string content(700'000, 'x');
  const std::string path = WriteFile(store.files.path() + "/artifact", content);
  auto stored = store->PutFile(path, 700'000);
  REQUIRE_MESSAGE(stored.ok(), stored.status().message());
  CHECK(stored->bytes == 700'000);
  CHECK(stored->sha256 == Sha256Hex(content));
  CHECK(store->Get(stored->sha256).value() == content);
  CHECK(store->PutFile(path, 700'000).ok());

  CHECK(absl::IsResourceExhausted(store->PutFile(path, 699'999).status()));
  CHECK(absl::IsNotFound(store->PutFile(path + "-missing", 1).status()));
  CHECK(absl::IsFailedPrecondition(store->PutFile(store.files.path(), 1).status()));
}

TEST_CASE_TEMPLATE("a pipe is refused at once, not waited for", Store, InMemory, OnDisk) {
  Store store;
  const std::string path = store.files.path() + "/pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK(absl::IsFailedPrecondition(store->PutFile(path, 1).status()));
}

TEST_CASE("blobs on disk outlive the store, and leave nothing half written") {
  TempDir directory;
  const std::string root = directory.path() + "/blobs";
  {
    auto store = FileBlobStore::Open(root).value();
    REQUIRE(store->Put("abc").ok());
    REQUIRE(store->Put("abc").ok());
    const std::string path = WriteFile(directory.path() + "/file", "abc");
    REQUIRE(store->PutFile(path, 10).ok());
    REQUIRE_FALSE(store->PutFile(path, 2).ok());
    CHECK(FilesIn(root) == 1);
  }
  WriteFile(root + "/tmp/1234-0", "what a crash left");
  auto store = FileBlobStore::Open(root).value();
  CHECK(FilesIn(root) == 1);
  CHECK(store->Path(kAbc) == root + "/ba/" + std::string(kAbc).substr(2));
  CHECK(store->Get(kAbc).value() == "abc");
}

TEST_CASE("a blob that changed on disk is reported, not returned") {
  TempDir directory;
  auto store = FileBlobStore::Open(directory.path()).value();
  REQUIRE(store->Put("abc").ok());
  WriteFile(store->Path(kAbc), "abd");
  CHECK(absl::IsDataLoss(store->Get(kAbc).status()));
}

}  // namespace
}  // namespace beamline::store
