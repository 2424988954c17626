// Files only grow at their end, by whole records, so that a reader needs no lock.
#include "daemon/store/output_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/store/output_record.h"

namespace beamline::store {
namespace {

constexpr char kTruncated[] = "\n… output truncated\n";
constexpr size_t kPieceBytes = 256 << 10;
static_assert(kPieceBytes >= kRecordBytesMax);
// Counters are dropped beyond this many, those of attempts that printed little first.
constexpr size_t kCountersMax = 1 << 16, kLittle = 1 << 20, kCheckedMax = 1 << 16;

std::string Directory(const std::string& root, const run::RunId& run) {
  return absl::StrCat(root, "/", run.ToString());
}

std::string FilePath(const std::string& directory, uint64_t number) {
  return absl::StrFormat("%s/%08d.out", directory, number);
}

bool Exists(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0;
}

// The number of the directory's last file. Files are numbered without gaps.
uint64_t LastFile(const std::string& directory) {
  uint64_t number = 0;
  while (Exists(FilePath(directory, number + 1))) ++number;
  return number;
}

uint64_t AttemptKey(const run::RunId& run, const std::string& path, int32_t attempt) {
  return absl::HashOf(run, path, attempt);
}

}  // namespace

absl::Status OutputFiles::Append(const run::RunId& run,
                                 const std::vector<ports::OutputChunk>& chunks) {
  absl::StatusOr<OpenRun*> open = Open(run);
  if (!open.ok()) return open.status();
  std::string records;
  for (ports::OutputChunk chunk : chunks) {
    if (!Admit(run, &chunk)) continue;
    const size_t before = records.size();
    EncodeRecord(chunk, &records);
    if ((*open)->bytes + records.size() <= limits_.file_bytes_max) continue;
    // The record goes to the next file, those before it to this one.
    const std::string last = records.substr(before);
    records.resize(before);
    if (absl::Status s = Write(*open, records); !s.ok()) return s;
    if (absl::Status s = StartFile(*open, (*open)->number + 1); !s.ok()) return s;
    records = last;
  }
  return Write(*open, records);
}

absl::StatusOr<OutputFiles::OpenRun*> OutputFiles::Open(const run::RunId& run) {
  if (auto found = by_run_.find(run); found != by_run_.end()) {
    open_.splice(open_.begin(), open_, found->second);
    return &open_.front();
  }
  OpenRun open;
  open.run = run;
  open.directory = Directory(root_, run);
  if (absl::Status s = MakeDirectory(open.directory); !s.ok()) return s;
  if (absl::Status s = StartFile(&open, LastFile(open.directory)); !s.ok()) return s;
  if (!checked_.contains(run)) {
    if (absl::Status s = CutTornTail(&open); !s.ok()) return s;
    if (checked_.size() >= kCheckedMax) checked_.clear();
    checked_.insert(run);
  }
  if (open_.size() >= limits_.open_files_max) {
    by_run_.erase(open_.back().run);
    open_.pop_back();
  }
  open_.push_front(std::move(open));
  by_run_[run] = open_.begin();
  return &open_.front();
}

absl::Status OutputFiles::StartFile(OpenRun* open, uint64_t number) {
  const std::string path = FilePath(open->directory, number);
  absl::StatusOr<Fd> fd = OpenFile(path, O_RDWR | O_CREAT | O_APPEND);
  if (!fd.ok()) return fd.status();
  struct stat st;
  if (fstat(fd->get(), &st) != 0) return FileError(errno, "look at", path);
  open->fd = *std::move(fd);
  open->number = number;
  open->bytes = st.st_size;
  return absl::OkStatus();
}

absl::Status OutputFiles::CutTornTail(OpenRun* open) {
  const std::string path = FilePath(open->directory, open->number);
  absl::flat_hash_map<uint64_t, uint64_t> printed;
  uint64_t whole = 0;
  while (whole < open->bytes) {
    absl::StatusOr<std::string> piece = ReadAt(open->fd, whole, kPieceBytes, path);
    if (!piece.ok()) return piece.status();
    std::string_view rest = *piece;
    while (auto record = ParseRecord(rest)) {
      const ports::OutputChunk& chunk = record->chunk;
      printed[AttemptKey(open->run, chunk.path, chunk.attempt)] += chunk.bytes.size();
      rest.remove_prefix(record->bytes);
    }
    if (rest.size() == piece->size()) break;  // no whole record is left
    whole += piece->size() - rest.size();
  }
  for (const auto& [key, bytes] : printed) {
    attempt_bytes_[key] = std::max(attempt_bytes_[key], bytes);
  }
  if (whole == open->bytes) return absl::OkStatus();
  if (ftruncate(open->fd.get(), static_cast<off_t>(whole)) != 0) {
    return FileError(errno, "cut", path);
  }
  open->bytes = whole;
  return absl::OkStatus();
}

absl::Status OutputFiles::Write(OpenRun* open, const std::string& records) {
  const std::string path = FilePath(open->directory, open->number);
  absl::Status status = WriteAll(open->fd, records, path);
  if (status.ok()) {
    open->bytes += records.size();
    return status;
  }
  // Part of it may be there: a reader must not meet half a record in the middle of a file.
  if (ftruncate(open->fd.get(), static_cast<off_t>(open->bytes)) != 0) {
    const run::RunId run = open->run;
    checked_.erase(run);  // cut when it is opened again
    open_.erase(by_run_.extract(run).mapped());
  }
  return status;
}

bool OutputFiles::Admit(const run::RunId& run, ports::OutputChunk* chunk) {
  if (attempt_bytes_.size() >= kCountersMax) {
    absl::erase_if(attempt_bytes_, [](const auto& entry) { return entry.second < kLittle; });
  }
  uint64_t& bytes = attempt_bytes_[AttemptKey(run, chunk->path, chunk->attempt)];
  if (bytes > limits_.attempt_bytes_max) return false;
  bytes += chunk->bytes.size();
  if (bytes > limits_.attempt_bytes_max) chunk->bytes = kTruncated;
  return true;
}

absl::Status OutputFiles::Delete(const run::RunId& run) {
  if (auto found = by_run_.find(run); found != by_run_.end()) {
    open_.erase(found->second);
    by_run_.erase(found);
  }
  checked_.erase(run);
  std::error_code error;
  const std::string directory = Directory(root_, run);
  std::filesystem::remove_all(directory, error);
  return error ? FileError(error.value(), "remove", directory) : absl::OkStatus();
}

absl::StatusOr<ports::OutputStore::Page> ReadOutput(const std::string& root, const run::RunId& run,
                                                    uint64_t offset, size_t bytes_max,
                                                    const OutputLimits& limits) {
  const std::string directory = Directory(root, run);
  ports::OutputStore::Page page;
  page.next = offset;
  size_t bytes = 0;
  while (bytes < bytes_max) {
    const uint64_t number = page.next / limits.file_bytes_max;
    const uint64_t at = page.next % limits.file_bytes_max;
    const std::string path = FilePath(directory, number);
    absl::StatusOr<Fd> file = OpenRegularFile(path);
    if (absl::IsNotFound(file.status()) && page.next == 0) {
      page.end = true;  // nothing was printed
      return page;
    }
    if (absl::IsNotFound(file.status())) return absl::OutOfRangeError("no output at this offset");
    if (!file.ok()) return file.status();
    // Asked for before the piece is read: once there is a next file, this one is complete.
    const bool complete = Exists(FilePath(directory, number + 1));
    absl::StatusOr<std::string> piece = ReadAt(*file, at, kPieceBytes, path);
    if (!piece.ok()) return piece.status();
    std::string_view rest = *piece;
    while (bytes < bytes_max) {
      std::optional<ParsedRecord> record = ParseRecord(rest);
      if (!record) break;
      bytes += record->bytes;
      rest.remove_prefix(record->bytes);
      record->chunk.next = page.next + (piece->size() - rest.size());
      page.chunks.push_back(std::move(record->chunk));
    }
    const size_t read = piece->size() - rest.size();
    page.next += read;
    if (read > 0) continue;
    if (complete && rest.empty()) {
      page.next = (number + 1) * limits.file_bytes_max;
    } else if (complete) {
      return absl::DataLossError(absl::StrCat(path, " is damaged at byte ", at));
    } else {
      page.end = true;  // or a record that is being written, or that a crash tore
      return page;
    }
  }
  return page;
}

}  // namespace beamline::store
