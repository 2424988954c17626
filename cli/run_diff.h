// What two runs differ in: their flows, values, steps and events. What is equal is only counted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "beamline/v1/run.pb.h"
#include "cli/json_diff.h"
#include "cli/run_json.h"

namespace beamline::cli {

// A run as it is compared.
struct RunSide {
  v1::Run run;
  BlobReader read_blob;
  std::map<std::string, int64_t> events;  // by type
};

struct TextChange {
  std::string from, to;  // empty: nothing is there
};

struct ValueDiff {
  std::vector<ValueChange> changes;
  size_t left_out = 0;  // that are not among them
};

// A step, or an item of one, that differs. Absent: that is equal.
struct StepDiff {
  enum class Only : uint8_t { kNeither, kFrom, kTo };
  std::string path;  // items by their key: "each[berlin]/load"
  Only only = Only::kNeither;
  std::optional<std::pair<v1::Status, v1::Status>> status;
  std::optional<std::pair<int, int>> attempts;
  std::optional<TextChange> reason, error;
  // Of the attempts and the time between them, where both are over.
  std::optional<std::pair<absl::Duration, absl::Duration>> took;
  bool slower = false, faster = false;  // by a factor that is worth a word
  ValueDiff output;
};

struct RunDiff {
  std::optional<TextChange> flow, digest, error;
  std::optional<std::pair<v1::Status, v1::Status>> status;
  ValueDiff inputs, outputs;
  std::vector<StepDiff> steps;  // in the order of the first run, then those of the second only
  size_t steps_equal = 0;
  std::map<std::string, std::pair<int64_t, int64_t>> events;  // whose counts differ
  size_t events_equal = 0;                                    // types whose counts do not

  // Nothing but ids and times differs.
  bool same() const;
};

// A step's time is worth a word if one took at least twice as long as the other and half a second
// longer.
RunDiff DiffRuns(const RunSide& from, const RunSide& to);

// The documented shape (`beamline runs diff --help`). `flow_diff`: as diff(1) shows it.
std::string RunDiffJson(const RunDiff& diff, const v1::Run& from, const v1::Run& to,
                        const std::string& flow_diff);

}  // namespace beamline::cli
