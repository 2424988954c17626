// Small histories that are the same in every test.
#include "runs.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace beamline::store {
namespace {

absl::Time At(uint64_t n) { return absl::FromUnixSeconds(1'700'000'000 + static_cast<int64_t>(n)); }

run::Event MakeEvent(uint64_t seq, run::Fact fact) {
  return {seq, At(seq), "uid:1000", std::move(fact)};
}

}  // namespace

TempDir::TempDir(Kind kind) {
  const char* root = getenv("TMPDIR");
  if (kind == kInMemory && access("/dev/shm", W_OK) == 0) root = "/dev/shm";
  std::string path = absl::StrCat(root != nullptr ? root : "/tmp", "/beamline-store-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) abort();
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

uint64_t TestSeed(uint64_t otherwise) {
  const char* given = getenv("BEAMLINE_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 10) : otherwise;
  std::printf("BEAMLINE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

run::RunId MakeId(uint64_t n) {
  std::array<uint8_t, 10> entropy{};
  for (int i = 0; i < 8; ++i) entropy[2 + i] = static_cast<uint8_t>(n >> (8 * (7 - i)));
  return run::RunId::Make(At(n), entropy);
}

ports::RunEvents Start(uint64_t n, const std::string& request_id) {
  ports::RunEvents events;
  events.id = MakeId(n);
  run::RunStarted start;
  start.run = events.id;
  start.tenant = "local";
  start.project = "default";
  start.flow_name = "build";
  start.flow_digest = "digest-of-build";
  start.request_id = request_id;
  start.request_hash = request_id.empty() ? "" : "hash-of-" + request_id;
  events.events = {MakeEvent(1, start)};
  ports::RunRow row;
  row.id = events.id;
  row.tenant = "local";
  row.project = "default";
  row.flow_name = "build";
  row.flow_digest = start.flow_digest;
  row.status = ports::RunStatus::kRunning;
  row.labels = {{"n", absl::StrCat(n)}};
  row.actor = "uid:1000";
  row.started_at = At(n);
  events.row = row;
  events.flows = {{start.flow_digest, "build", "flow: build\n"}};
  return events;
}

ports::RunEvents Progress(uint64_t n, uint64_t seq, size_t bytes) {
  ports::RunEvents events;
  events.id = MakeId(n);
  events.expected_seq = seq;
  run::AttemptFinished finished;
  finished.path = absl::StrCat("step", seq);
  finished.output = run::Value::Json(std::string(bytes / 2, '1'));
  run::AttemptStarted started;
  started.path = absl::StrCat("step", seq + 1);
  started.input = run::Value::Json(std::string(bytes / 2, '2'));
  events.events = {MakeEvent(seq + 1, finished), MakeEvent(seq + 2, started)};
  return events;
}

ports::RunEvents Finish(uint64_t n, uint64_t seq, ports::RunStatus status) {
  ports::RunEvents events;
  events.id = MakeId(n);
  events.expected_seq = seq;
  run::RunFinished finished;
  ports::RunRow row;
  row.status = status;
  if (status == ports::RunStatus::kFailed) {
    finished.status = run::Status::kFailed;
    finished.error = {"exit", "exit status 1", 1};
    row.error = "exit status 1";
  }
  row.finished_at = At(n + seq);
  events.events = {MakeEvent(seq + 1, finished)};
  events.row = row;
  return events;
}

std::string Outline(const std::vector<run::Event>& events) {
  std::string outline;
  for (const run::Event& event : events) {
    absl::StrAppend(&outline, outline.empty() ? "" : " ", event.seq, ":",
                    run::FactName(event.fact));
  }
  return outline;
}

}  // namespace beamline::store
