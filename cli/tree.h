// A run as a tree of lines: what the live view draws ten times a second, and what `run` and
// `runs show` leave behind.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/output_tail.h"
#include "proto/run_view.h"

namespace beamline::cli {

struct TreeOptions {
  int width = 80;  // no line is wider
  int height = 0;  // at most this many lines; 0 = as many as it takes
  bool color = false;
  bool utf8 = true;
  // The run is followed: the keys are shown, durations count up to `now`.
  bool live = false;
  // All items, children and attempts' errors instead of the most interesting ones.
  bool full = false;
  absl::Time now;
};

// Lines without line breaks. `tail` may be null. A tree that is too high first loses output lines,
// then items, then steps that are done or pending; a last line says what is left out.
std::vector<std::string> RenderTree(const proto::RunView& view, const OutputTail* tail,
                                    const TreeOptions& options);

// The short form of a run id: its last 6 characters. ULIDs begin with the time, so their beginnings
// are all alike; ends are accepted wherever a run is named.
std::string ShortId(const std::string& run_id);

// "exit 2: make: *** [all] Error 2" or "timeout", for one line.
std::string FailureText(const v1::Failure& failure);

// Whether one of `steps`, or of what is in them, has made an artifact.
bool HasArtifacts(const google::protobuf::RepeatedPtrField<v1::Step>& steps);

}  // namespace beamline::cli
