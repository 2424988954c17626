// What the world still owes a run, computed from its state alone (pending.h).
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "absl/time/time.h"
#include "daemon/run/command.h"

namespace beamline::run {

// Evaluate the step's expressions and report with ReportResolution; not before `not_before`
// (a retry's delay). If `recorded`, the input of an earlier attempt is used again and nothing is
// evaluated: the report only says that the attempt may start now.
struct ResolveStep {
  ReportResolution::Phase phase = ReportResolution::Phase::kEnter;
  int32_t attempt = 0;
  bool recorded = false;
  absl::Time not_before = absl::InfinitePast();
};

// Carry out the attempt that was recorded, once; report with ReportAttempt.
struct RunAttempt {
  int32_t attempt = 1;
  absl::Time begun_at = absl::InfinitePast();  // as recorded: a restart does not make it younger
};

// End the running attempt: gently, then by force; its ReportAttempt is still expected.
struct StopAttempt {
  int32_t attempt = 1;
  StopReason reason = StopReason::kCancel;
  bool force = false;
};

// Send FireTimer{path, reason} at or after `at`.
struct WakeAt {
  absl::Time at;
  StopReason reason = StopReason::kTimeout;
};

struct Effect {
  uint64_t order = 0;  // grows with every effect of a run; see PendingSince
  std::string path;    // of the step; empty: the run
  std::variant<ResolveStep, RunAttempt, StopAttempt, WakeAt> what;
};

}  // namespace beamline::run
