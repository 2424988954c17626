// The files of runs' output: <root>/<run id>/00000000.out, 00000001.out, ….
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/ports/output_store.h"
#include "daemon/store/file.h"

namespace beamline::store {

struct OutputLimits {
  uint64_t file_bytes_max = 64 << 20;     // of one file; offsets of the next one start there
  uint64_t attempt_bytes_max = 64 << 20;  // kept of one attempt
  size_t open_files_max = 64;
};

// Writes; one thread at a time.
class OutputFiles {
 public:
  OutputFiles(std::string root, const OutputLimits& limits)
      : root_(std::move(root)), limits_(limits) {}

  // Appends `chunks` of one run. What is over the attempt's limit is dropped, after one chunk that
  // says so. After an error the file ends with its last whole record.
  absl::Status Append(const run::RunId& run, const std::vector<ports::OutputChunk>& chunks);
  // Closes and removes the run's files.
  absl::Status Delete(const run::RunId& run);

 private:
  struct OpenRun {
    run::RunId run;
    Fd fd;
    std::string directory;
    uint64_t number = 0;  // of the last file
    uint64_t bytes = 0;   // in it
  };
  absl::StatusOr<OpenRun*> Open(const run::RunId& run);
  // Cuts what a crash left incomplete off the last file, and counts what its attempts printed.
  absl::Status CutTornTail(OpenRun* open);
  absl::Status StartFile(OpenRun* open, uint64_t number);
  absl::Status Write(OpenRun* open, const std::string& records);
  // Counts `chunk` and says whether to keep it; makes it the closing remark at the limit.
  bool Admit(const run::RunId& run, ports::OutputChunk* chunk);

  const std::string root_;
  const OutputLimits limits_;
  std::list<OpenRun> open_;  // most recently used first
  absl::flat_hash_map<run::RunId, std::list<OpenRun>::iterator> by_run_;
  absl::flat_hash_set<run::RunId> checked_;  // runs whose tail this process has looked at
  absl::flat_hash_map<uint64_t, uint64_t> attempt_bytes_;  // by hash of run, path and attempt
};

// Reads what is in the files, also while they are written. An offset is the file's number times
// file_bytes_max plus the place in it. OutOfRange: no record begins at `offset`.
absl::StatusOr<ports::OutputStore::Page> ReadOutput(const std::string& root, const run::RunId& run,
                                                    uint64_t offset, size_t bytes_max,
                                                    const OutputLimits& limits);

}  // namespace beamline::store
