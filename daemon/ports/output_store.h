// What steps print: kept apart from the log, readable while it is written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/run/id.h"

namespace beamline::ports {

enum class OutputStream : uint8_t { kStdout = 1, kStderr = 2 };

struct OutputChunk {
  std::string path;  // of the step
  int32_t attempt = 1;
  OutputStream stream = OutputStream::kStdout;
  absl::Time time;
  std::string bytes;  // at most 64 KiB, not necessarily whole lines or characters
  uint64_t next = 0;  // set by Read: the offset after this chunk
};

// Where executors put what a step prints. Thread-safe; never blocks for long.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void Write(const run::RunId& run, OutputChunk chunk) = 0;
};

// Thread-safe. Chunks of one run keep their order.
class OutputStore : public OutputSink {
 public:
  struct Page {
    std::vector<OutputChunk> chunks;
    uint64_t next = 0;  // offset to go on from
    bool end = false;   // nothing more was there when this page was read
  };
  // Chunks from `offset` (0 = the start) on, about `bytes_max` bytes.
  virtual absl::StatusOr<Page> Read(const run::RunId& run, uint64_t offset,
                                    size_t bytes_max) const = 0;
  // Drops a run's output.
  virtual absl::Status Delete(const run::RunId& run) = 0;
  // `changed` is called (on the writing thread, briefly) after chunks of `run` were added, until
  // the returned handle is destroyed.
  virtual std::shared_ptr<void> Watch(const run::RunId& run, std::function<void()> changed) = 0;
  // The first error since the start (a full disk: output is then dropped, runs go on), or Ok.
  virtual absl::Status health() const = 0;
};

}  // namespace beamline::ports
