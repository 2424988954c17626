// What the configuration says of a sink: of what it is told, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/run/event.h"

namespace beamline::notify {

// What people can be told of.
enum class Kind : uint8_t {
  kApprovalRequested,  // each round asks anew
  kApprovalDelegated,
  kApprovalEscalated,
  kApprovalExpired,
  kStepParked,
  kDeadLetter,  // what `beamline dlq list` shows: parked, or has failed its run
  // The end of a run that is no sub-flow's.
  kRunSucceeded,
  kRunFailed,
  kRunCancelled,
};
// "approval_requested", …
const char* KindName(Kind kind);
std::optional<Kind> FindKind(absl::string_view name);
std::vector<std::string> KindNames();

// A text of the configuration: as it is, or the name of where it lies. One of the three is set.
struct Text {
  std::string plain;
  std::string env, file;  // a variable of the daemon; an absolute path
};

struct Rule {
  std::string name;  // of the sink: its cursor is kept under it
  std::vector<Kind> kinds;
  std::vector<std::string> flows;  // names; empty: all
  run::Labels labels;              // all of them must match

  // One of the two.
  std::vector<std::string> command;  // argv
  std::string url;

  std::vector<std::pair<std::string, Text>> headers;  // of requests to `url`
  std::optional<Text> secret;                         // that they are signed with

  absl::Duration timeout = absl::Seconds(30);      // of one try
  absl::Duration give_up_after = absl::Hours(24);  // since what is told of has happened
};

// Whether the sink is told of this kind at all.
bool Wants(const Rule& rule, Kind kind);
// Whether it is told of runs of this flow with these labels.
bool Follows(const Rule& rule, const std::string& flow, const run::Labels& labels);

}  // namespace beamline::notify
