// Waits poll: a test that sleeps for a fixed time is slow on fast machines and wrong on slow ones.
#include "tests/exec/executor_fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace beamline::exec {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

bool IsAlive(pid_t pid) {
  const std::string stat = Contents(absl::StrCat("/proc/", pid, "/stat"));
  const size_t state = stat.rfind(") ");
  return state != std::string::npos && stat[state + 2] != 'Z' && stat[state + 2] != 'X';
}

pid_t PidIn(const std::string& path) {
  pid_t pid = 0;
  Eventually([&] {
    const std::string text = Contents(path);
    return !text.empty() && text.back() == '\n' && absl::SimpleAtoi(text, &pid);
  });
  return pid;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "beamline-exec-XXXXXX";
  path = mkdtemp(name.data());
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

void MemorySink::Write(const run::RunId&, ports::OutputChunk chunk) {
  ports::MutexLock lock(&mu_);
  bytes_ += chunk.bytes.size();
  largest_ = std::max(largest_, chunk.bytes.size());
  if (keep_) text_[chunk.stream] += chunk.bytes;
}

std::string MemorySink::Text(ports::OutputStream stream) const {
  ports::MutexLock lock(&mu_);
  const auto it = text_.find(stream);
  return it == text_.end() ? "" : it->second;
}

size_t MemorySink::bytes() const {
  ports::MutexLock lock(&mu_);
  return bytes_;
}

size_t MemorySink::largest_chunk() const {
  ports::MutexLock lock(&mu_);
  return largest_;
}

absl::StatusOr<std::string> MemoryBlobs::Put(std::string_view content) {
  return absl::StrCat(content.size());
}

absl::StatusOr<ports::BlobStore::Stored> MemoryBlobs::PutFile(const std::string& path,
                                                              uint64_t bytes_max) {
  const std::string content = Contents(path);
  if (content.size() > bytes_max) return absl::ResourceExhaustedError("too large");
  return Stored{absl::StrCat(content.size()), content.size()};
}

absl::StatusOr<std::string> MemoryBlobs::Get(const std::string&) const {
  return absl::NotFoundError("this store only counts");
}

std::function<void(run::ReportAttempt)> Reported::Callback() {
  return [state = state_](run::ReportAttempt report) {
    ports::MutexLock lock(&state->mu);
    state->reports.push_back(std::move(report));
  };
}

bool Reported::Has() const {
  ports::MutexLock lock(&state_->mu);
  return !state_->reports.empty();
}

run::ReportAttempt Reported::Wait() {
  run::ReportAttempt missing;
  missing.error = {"test", "nothing was reported", -1};
  ports::MutexLock lock(&state_->mu);
  const auto has = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !state_->reports.empty(); };
  if (!state_->mu.AwaitFor(has, kPatience)) return missing;
  return state_->reports.size() == 1 ? state_->reports.front() : missing;
}

ExecutorFixture::ExecutorFixture(absl::Duration grace) {
  ProcessExecutor::Options options;
  options.work_dir = dir / "work";
  options.grace = grace;
  options.supervisor = {EXEC_SUPERVISOR};
  executor = std::make_unique<ProcessExecutor>(options, sink, blobs);
}

ports::Attempt ExecutorFixture::AttemptOf(const std::string& input) const {
  ports::Attempt attempt;
  // Unique on this machine, as run ids are: tests run at the same time.
  const uint64_t now = absl::ToUnixNanos(absl::Now());
  std::array<uint8_t, 10> entropy{};
  memcpy(entropy.data(), &now, sizeof now);
  entropy[8] = getpid() & 255;
  entropy[9] = getpid() >> 8 & 255;
  attempt.run = run::RunId::Make(absl::Now(), entropy);
  attempt.flow_name = "flow";
  attempt.path = "step";
  attempt.step_id = "step";
  attempt.input = input;
  attempt.idempotency_key = "key";
  attempt.trace_id = "0123456789abcdef0123456789abcdef";
  attempt.workspace = dir.path;
  return attempt;
}

std::string ExecutorFixture::Script(const std::string& script) {
  return nlohmann::json{{"run", script}}.dump();
}

Reported ExecutorFixture::Start(const ports::Attempt& attempt) {
  Reported reported;
  executor->Start(attempt, reported.Callback());
  return reported;
}

run::ReportAttempt ExecutorFixture::Run(const std::string& input) {
  return Start(AttemptOf(input)).Wait();
}

}  // namespace beamline::exec
