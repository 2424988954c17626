// An executor with a real supervisor, a temporary directory, and what it reports in memory.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "daemon/exec/process_executor.h"
#include "daemon/ports/blob_store.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/output_store.h"

namespace beamline::exec {

// Deadline of waits that end sooner on every machine but a very busy one.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

// Polls `condition` until it holds; false after kPatience.
bool Eventually(const std::function<bool()>& condition);

// Whether `pid` is a process, zombies not counted.
bool IsAlive(pid_t pid);
// The pid that a step wrote to the file `path`; waits for it. 0 after kPatience.
pid_t PidIn(const std::string& path);

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

class MemorySink : public ports::OutputSink {
 public:
  void Write(const run::RunId& run, ports::OutputChunk chunk) override;
  std::string Text(ports::OutputStream stream) const;
  size_t bytes() const;
  size_t largest_chunk() const;
  void KeepNothing() { keep_ = false; }

 private:
  mutable ports::Mutex mu_;
  std::map<ports::OutputStream, std::string> text_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t largest_ ABSL_GUARDED_BY(mu_) = 0;
  bool keep_ = true;
};

// Digests are lengths: enough to see what was stored.
class MemoryBlobs : public ports::BlobStore {
 public:
  absl::StatusOr<std::string> Put(std::string_view content) override;
  absl::StatusOr<Stored> PutFile(const std::string& path, uint64_t bytes_max) override;
  absl::StatusOr<std::string> Get(const std::string& sha256) const override;
  std::string Path(const std::string&) const override { return ""; }
};

// One report, waited for.
class Reported {
 public:
  std::function<void(run::ReportAttempt)> Callback();
  bool Has() const;
  run::ReportAttempt Wait();  // a report of kind "test" after kPatience

 private:
  struct State {
    mutable ports::Mutex mu;
    std::vector<run::ReportAttempt> reports ABSL_GUARDED_BY(mu);
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

struct ExecutorFixture {
  explicit ExecutorFixture(absl::Duration grace = absl::Seconds(10));

  // An attempt at the step "step" with `input` (JSON text) and the directory as workspace.
  ports::Attempt AttemptOf(const std::string& input) const;
  // {"run": `script`} as JSON text.
  static std::string Script(const std::string& script);
  Reported Start(const ports::Attempt& attempt);
  run::ReportAttempt Run(const std::string& input);

  TemporaryDirectory dir;
  MemorySink sink;
  MemoryBlobs blobs;
  std::unique_ptr<ProcessExecutor> executor;
};

}  // namespace beamline::exec
