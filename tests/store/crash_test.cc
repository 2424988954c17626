// Promises 1, 2 and 11: what was acknowledged survives a power failure at any moment, and any
// single failing call, with a history without gaps.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "daemon/codec/event_codec.h"
#include "daemon/store/sqlite_store.h"
#include "fault_vfs.h"
#include "runs.h"

namespace beamline::store {
namespace {

constexpr int kSteps = 20;

// A workload, what of it was acknowledged, and when.
struct History {
  std::vector<ports::RunEvents> decisions;  // in the order in which they were appended
  struct Acknowledged {
    size_t operations;  // of the VFS, when the answer came
    size_t decisions;   // that were acknowledged by then
  };
  std::vector<Acknowledged> acknowledged;
  absl::Status status;  // the first that was not ok

  size_t AcknowledgedBy(size_t operations) const {
    size_t decisions = 0;
    for (const Acknowledged& a : acknowledged) {
      if (a.operations <= operations) decisions = a.decisions;
    }
    return decisions;
  }
};

// Two runs of a flow of 20 steps side by side, single decisions and batches, with checkpoints in
// between and a third run that ends at once. Stops at the first error.
History Work(const std::string& directory, FaultVfs& vfs) {
  History history;
  auto opened = SqliteStore::Open(directory, {.vfs = vfs.name()});
  history.status = opened.status();
  if (!opened.ok()) return history;
  SqliteStore& store = **opened;
  auto append = [&](const std::vector<ports::RunEvents>& batch) {
    if (!history.status.ok()) return;
    history.decisions.insert(history.decisions.end(), batch.begin(), batch.end());
    history.status = store.Append(batch);
    if (history.status.ok()) {
      history.acknowledged.push_back({vfs.operations(), history.decisions.size()});
    }
  };
  append({Start(1, "req-1")});
  append({Start(2), Start(3)});
  uint64_t seq = 1;
  for (int step = 0; step < kSteps; ++step, seq += 2) {
    if (step % 3 == 0) {
      append({Progress(1, seq), Progress(2, seq, 3000)});
    } else {
      append({Progress(1, seq)});
      append({Progress(2, seq)});
    }
    if (step % 6 == 5 && history.status.ok()) history.status = store.Checkpoint();
  }
  append({Finish(1, seq), Finish(3, 1, ports::RunStatus::kFailed)});
  append({Finish(2, seq)});
  if (!history.status.ok()) {
    // After an error nothing more is taken.
    absl::Status next = store.Append({Start(9)});
    CHECK(next == history.status);
    CHECK(store.Checkpoint() == history.status);
  }
  return history;
}

// What is wrong with the store in `directory`, of whose `history` the first `acknowledged`
// decisions must be there; empty if nothing is.
std::string Problem(const std::string& directory, const History& history, size_t acknowledged) {
  auto store = SqliteStore::Open(directory);
  if (!store.ok()) return std::string(store.status().message());
  std::map<run::RunId, std::vector<run::Event>> written;
  std::map<run::RunId, size_t> promised;
  for (size_t i = 0; i < history.decisions.size(); ++i) {
    const ports::RunEvents& d = history.decisions[i];
    std::vector<run::Event>& events = written[d.id];
    events.insert(events.end(), d.events.begin(), d.events.end());
    if (i < acknowledged) promised[d.id] = events.size();
  }
  for (auto& [id, events] : written) {
    auto read = (*store)->Read(id, 0, std::numeric_limits<size_t>::max());
    if (absl::IsNotFound(read.status()) && promised[id] == 0) continue;
    if (!read.ok()) return std::string(read.status().message());
    if (read->size() < promised[id]) {
      return absl::StrCat(id.ToString(), " has ", read->size(), " events of ", promised[id]);
    }
    if (read->size() > events.size()) return "events that nobody appended";
    events.resize(read->size());
    if (codec::EncodeEvents(*read) != codec::EncodeEvents(events)) return "other events";
    auto row = (*store)->GetRun(id);
    if (!row.ok()) return std::string(row.status().message());
    const bool ended = std::holds_alternative<run::RunFinished>(events.back().fact);
    if (ended != ports::IsFinished(row->status)) return "the row does not follow the events";
  }
  return "";
}

void WriteFiles(const std::string& directory, const std::map<std::string, std::string>& files) {
  for (const auto& [name, content] : files) {
    std::ofstream(std::filesystem::path(directory) / name, std::ios::binary) << content;
  }
}

struct Tally {
  size_t images = 0, problems = 0;
  std::string first;
};

// Every moment between two operations × every way that unsynced writes can survive.
Tally CrashEverywhere(const History& history, const FaultVfs& vfs, uint64_t seed) {
  using Survival = FaultVfs::Survival;
  std::mt19937_64 random(seed);
  Tally tally;
  for (size_t operations = 0; operations <= vfs.operations(); ++operations) {
    for (Survival s : {Survival::kNone, Survival::kAll, Survival::kRandom, Survival::kTorn}) {
      TempDir directory(TempDir::kInMemory);
      WriteFiles(directory.path(), vfs.Crash(operations, s, random));
      const std::string problem =
          Problem(directory.path(), history, history.AcknowledgedBy(operations));
      ++tally.images;
      if (problem.empty()) continue;
      if (tally.problems++ == 0) {
        tally.first = absl::StrCat("after operation ", operations, ", survival ",
                                   static_cast<int>(s), ": ", problem);
      }
    }
  }
  return tally;
}

TEST_CASE("a power failure at any write loses nothing that was acknowledged") {
  const uint64_t seed = TestSeed(20'241'124);
  FaultVfs vfs;
  TempDir directory(TempDir::kInMemory);
  const History history = Work(directory.path(), vfs);
  REQUIRE_MESSAGE(history.status.ok(), history.status.message());
  const Tally tally = CrashEverywhere(history, vfs, seed);
  CHECK_MESSAGE(tally.problems == 0, tally.first);
  CHECK(tally.images > 800);
  MESSAGE(tally.images << " images of " << vfs.operations() << " operations");
}

TEST_CASE("the test above finds a store that does not sync") {
  const uint64_t seed = TestSeed(20'241'124);
  FaultVfs vfs;
  vfs.IgnoreSyncs();
  TempDir directory(TempDir::kInMemory);
  const History history = Work(directory.path(), vfs);
  REQUIRE(history.status.ok());
  CHECK(CrashEverywhere(history, vfs, seed).problems > 100);
}

void FailEverywhere(FaultVfs::Fault fault, absl::StatusCode expected) {
  std::mt19937_64 random(TestSeed(7));
  size_t faults = 0;
  for (size_t n = 0;; ++n) {
    FaultVfs vfs;
    TempDir directory(TempDir::kInMemory);
    vfs.FailAt(n, fault);
    const History history = Work(directory.path(), vfs);
    if (!vfs.failed()) break;
    ++faults;
    CAPTURE(n);
    const size_t acknowledged = history.AcknowledgedBy(vfs.operations());
    // The last calls are those of closing, which nobody is told about.
    if (acknowledged < history.decisions.size()) {
      REQUIRE_FALSE(history.status.ok());
      const absl::StatusCode code = history.status.code();
      CHECK((code == expected || code == absl::StatusCode::kDataLoss));
    }
    CHECK(Problem(directory.path(), history, acknowledged) == "");  // the process was restarted
    for (auto s : {FaultVfs::Survival::kNone, FaultVfs::Survival::kRandom}) {  // the machine was
      TempDir image(TempDir::kInMemory);
      WriteFiles(image.path(), vfs.Crash(vfs.operations(), s, random));
      CHECK(Problem(image.path(), history, acknowledged) == "");
    }
  }
  CHECK(faults > 150);
}

TEST_CASE("any single I/O error ends appending and loses nothing that was acknowledged") {
  FailEverywhere(FaultVfs::Fault::kIoError, absl::StatusCode::kDataLoss);
}

TEST_CASE("a disk that is full at any write likewise") {
  FailEverywhere(FaultVfs::Fault::kDiskFull, absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a write that is cut short likewise") {
  FailEverywhere(FaultVfs::Fault::kShortWrite, absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace beamline::store
