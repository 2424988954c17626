// Output is kept in order, in bounded space, and readable while it is written.
#include "daemon/store/output_store.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/store/output_record.h"
#include "runs.h"

namespace beamline::store {
namespace {

using ports::OutputChunk;
using ports::OutputStream;

OutputChunk Chunk(const std::string& bytes, const std::string& path = "build", int attempt = 1) {
  return {path, attempt, OutputStream::kStdout, absl::FromUnixNanos(1'700'000'000'123'456'789),
          bytes};
}

std::unique_ptr<FileOutputStore> Open(const TempDir& directory,
                                      const FileOutputStore::Options& options = {}) {
  auto store = FileOutputStore::Open(directory.path(), options);
  REQUIRE_MESSAGE(store.ok(), store.status().message());
  return *std::move(store);
}

// All output of `run`, read in pages of `bytes_max`.
std::string ReadAll(const FileOutputStore& store, const run::RunId& run, size_t bytes_max = 4096) {
  std::string all;
  for (uint64_t offset = 0;;) {
    auto page = store.Read(run, offset, bytes_max);
    REQUIRE_MESSAGE(page.ok(), page.status().message());
    for (const OutputChunk& chunk : page->chunks) all += chunk.bytes;
    offset = page->next;
    if (page->end) return all;
  }
}

std::string FirstFile(const TempDir& directory, const run::RunId& run) {
  return absl::StrCat(directory.path(), "/", run.ToString(), "/00000000.out");
}

TEST_CASE("what was written is read at once, with all that is known of it") {
  TempDir directory;
  auto store = Open(directory);
  OutputChunk chunk = Chunk("warning: \xff\n", "enrich[17]/load", 3);
  chunk.stream = OutputStream::kStderr;
  store->Write(MakeId(1), chunk);
  store->Write(MakeId(2), Chunk("another run"));
  auto page = store->Read(MakeId(1), 0, 1000);
  REQUIRE(page.ok());
  REQUIRE(page->chunks.size() == 1);
  CHECK(page->chunks[0].path == "enrich[17]/load");
  CHECK(page->chunks[0].attempt == 3);
  CHECK(page->chunks[0].stream == OutputStream::kStderr);
  CHECK(page->chunks[0].time == chunk.time);
  CHECK(page->chunks[0].bytes == chunk.bytes);
  CHECK(page->end);
  CHECK(store->Read(MakeId(1), page->next, 1000)->chunks.empty());
}

TEST_CASE("a run that printed nothing has an empty page") {
  TempDir directory;
  auto page = Open(directory)->Read(MakeId(1), 0, 1000);
  REQUIRE(page.ok());
  CHECK(page->chunks.empty());
  CHECK(page->end);
}

TEST_CASE("order is kept over many pages and files, and over a restart") {
  TempDir directory;
  FileOutputStore::Options options;
  options.limits.file_bytes_max = 10'000;
  std::string expected;
  for (int session = 0; session < 3; ++session) {
    auto store = Open(directory, options);
    for (int i = 0; i < 1000; ++i) {
      const std::string line = absl::StrCat("session ", session, " line ", i, "\n");
      expected += line;
      store->Write(MakeId(1), Chunk(line, absl::StrCat("step", i % 7)));
    }
  }
  auto store = Open(directory, options);
  CHECK(ReadAll(*store, MakeId(1)) == expected);
  CHECK(ReadAll(*store, MakeId(1), 1) == expected);
  CHECK(std::filesystem::exists(
      absl::StrCat(directory.path(), "/", MakeId(1).ToString(), "/00000010.out")));
  CHECK(absl::IsOutOfRange(store->Read(MakeId(1), 123'456'789, 1000).status()));
}

TEST_CASE("reading goes on after any chunk") {
  TempDir directory;
  FileOutputStore::Options options;
  options.limits.file_bytes_max = 200;  // a new file every few chunks
  auto store = Open(directory, options);
  for (int i = 0; i < 20; ++i) store->Write(MakeId(1), Chunk(absl::StrCat(i, " ")));
  uint64_t offset = 0;
  for (int i = 0; i < 20; ++i) {
    auto page = store->Read(MakeId(1), offset, 100'000);
    REQUIRE(page.ok());
    REQUIRE(page->chunks.size() == static_cast<size_t>(20 - i));
    CHECK(page->chunks[0].bytes == absl::StrCat(i, " "));
    CHECK(page->chunks.back().next == page->next);
    offset = page->chunks[0].next;
  }
}

TEST_CASE("more than a chunk at once is taken in pieces") {
  TempDir directory;
  auto store = Open(directory);
  const std::string large(200'000, 'x');
  store->Write(MakeId(1), Chunk(large));
  CHECK(ReadAll(*store, MakeId(1)) == large);
  CHECK(store->Read(MakeId(1), 0, 1)->chunks[0].bytes.size() == kChunkBytesMax);
}

TEST_CASE("a reader that goes on where it stopped sees everything once, while it is written") {
  TempDir directory;
  FileOutputStore::Options options;
  options.limits.file_bytes_max = 20'000;
  options.queue_bytes_max = 5'000;  // the writer has to wait
  auto store = Open(directory, options);
  constexpr int kLines = 5'000;
  std::thread writer([&] {
    for (int i = 0; i < kLines; ++i) store->Write(MakeId(1), Chunk(absl::StrCat(i, "\n")));
  });
  std::string expected, seen;
  for (int i = 0; i < kLines; ++i) absl::StrAppend(&expected, i, "\n");
  uint64_t offset = 0;
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (seen.size() < expected.size() && absl::Now() < give_up) {
    auto page = store->Read(MakeId(1), offset, 3'000);
    REQUIRE(page.ok());
    for (const OutputChunk& chunk : page->chunks) seen += chunk.bytes;
    offset = page->next;
  }
  writer.join();
  CHECK(seen == expected);
}

TEST_CASE("output reaches the file within 50 ms, unasked") {
  TempDir directory;
  auto store = Open(directory);
  store->Write(MakeId(1), Chunk("hello"));
  const absl::Time start = absl::Now();
  std::error_code error;
  while (std::filesystem::file_size(FirstFile(directory, MakeId(1)), error) < 5 || error) {
    REQUIRE(absl::Now() - start < absl::Seconds(10));  // a loaded machine is not a failure
    absl::SleepFor(absl::Milliseconds(1));
  }
}

TEST_CASE("a tail that a crash tore is passed over, and cut before more is written") {
  TempDir directory;
  Open(directory)->Write(MakeId(1), Chunk("whole "));
  const std::string path = FirstFile(directory, MakeId(1));
  std::string torn;
  EncodeRecord(Chunk("torn"), &torn);
  SUBCASE("a record that ends too early") { torn.resize(torn.size() - 2); }
  SUBCASE("a record whose content never reached the disk") {
    std::fill(torn.end() - 4, torn.end(), '\0');
  }
  SUBCASE("zeros") { torn.assign(5000, '\0'); }
  std::ofstream(path, std::ios::app | std::ios::binary) << torn;

  auto store = Open(directory);
  CHECK(ReadAll(*store, MakeId(1)) == "whole ");
  store->Write(MakeId(1), Chunk("again"));
  CHECK(ReadAll(*store, MakeId(1)) == "whole again");
}

TEST_CASE("damage in the middle of a history of files is reported") {
  TempDir directory;
  FileOutputStore::Options options;
  options.limits.file_bytes_max = 1'000;
  auto store = Open(directory, options);
  for (int i = 0; i < 100; ++i) store->Write(MakeId(1), Chunk("0123456789"));
  REQUIRE(ReadAll(*store, MakeId(1)).size() == 1000);
  std::fstream(FirstFile(directory, MakeId(1))).seekp(20) << 'X';
  CHECK(absl::IsDataLoss(store->Read(MakeId(1), 0, 10).status()));
}

TEST_CASE("an attempt that prints without end is cut, and says so once") {
  TempDir directory;
  FileOutputStore::Options options;
  options.limits.attempt_bytes_max = 1'000;
  auto print = [&](FileOutputStore& store) {
    for (int i = 0; i < 100; ++i) store.Write(MakeId(1), Chunk(std::string(100, 'x')));
  };
  const std::string kept = std::string(1'000, 'x') + "\n… output truncated\n";
  {
    auto store = Open(directory, options);
    print(*store);
    CHECK(ReadAll(*store, MakeId(1)) == kept);
    store->Write(MakeId(1), Chunk("next attempt", "build", 2));
  }
  auto store = Open(directory, options);  // the limit outlives a restart
  print(*store);
  CHECK(ReadAll(*store, MakeId(1)) == kept + "next attempt");
}

TEST_CASE("more runs than open files") {
  TempDir directory;
  FileOutputStore::Options options;
  options.limits.open_files_max = 4;
  auto store = Open(directory, options);
  for (int round = 0; round < 3; ++round) {
    for (int n = 0; n < 20; ++n) store->Write(MakeId(n), Chunk(absl::StrCat(n, ".", round, " ")));
    ReadAll(*store, MakeId(0));  // a batch of its own for each round
  }
  for (int n = 0; n < 20; ++n) {
    CHECK(ReadAll(*store, MakeId(n)) == absl::StrCat(n, ".0 ", n, ".1 ", n, ".2 "));
  }
}

TEST_CASE("a watcher hears of new output of its run until its handle is gone") {
  TempDir directory;
  auto store = Open(directory);
  std::atomic<int> heard{0};
  auto handle = store->Watch(MakeId(1), [&] {
    CHECK(store->Read(MakeId(1), 0, 1000).ok());  // may read
    ++heard;
  });
  store->Write(MakeId(2), Chunk("not mine"));
  CHECK(ReadAll(*store, MakeId(2)) == "not mine");
  store->Write(MakeId(1), Chunk("mine"));
  while (heard == 0) absl::SleepFor(absl::Milliseconds(1));
  CHECK(heard == 1);
  handle.reset();
  store->Write(MakeId(1), Chunk("more"));
  CHECK(ReadAll(*store, MakeId(1)) == "minemore");
  store.reset();  // its thread has ended: nothing can be heard any more
  CHECK(heard == 1);
}

TEST_CASE("deleted output is gone") {
  TempDir directory;
  auto store = Open(directory);
  store->Write(MakeId(1), Chunk("secret"));
  REQUIRE(store->Delete(MakeId(1)).ok());
  CHECK(ReadAll(*store, MakeId(1)) == "");
  CHECK_FALSE(std::filesystem::exists(absl::StrCat(directory.path(), "/", MakeId(1).ToString())));
  store->Write(MakeId(1), Chunk("new"));
  CHECK(ReadAll(*store, MakeId(1)) == "new");
  CHECK(store->Delete(MakeId(7)).ok());
}

TEST_CASE("where nothing can be written, output is dropped, runs go on, and health says why") {
  TempDir directory;
  auto store = Open(directory);
  CHECK(store->health().ok());
  std::ofstream(absl::StrCat(directory.path(), "/", MakeId(1).ToString())) << "a file in the way";
  store->Write(MakeId(1), Chunk("lost"));
  store->Write(MakeId(2), Chunk("kept"));
  CHECK(ReadAll(*store, MakeId(2)) == "kept");
  CHECK(absl::IsFailedPrecondition(store->health()));
}

}  // namespace
}  // namespace beamline::store
