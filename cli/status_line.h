// One event of a run as a line for people, where lines are only ever added: logs, CI systems.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "beamline/v1/event.pb.h"
#include "cli/glyphs.h"
#include "proto/run_view.h"

namespace beamline::cli {

struct StatusLine {
  std::string path;  // of the step; "" is the run
  Mark mark;
  std::string text;  // "0.8s", "exit 2: …  try 2 in 1.9s", "skipped: …"
  // The step (or the run) is over.
  bool final = false;
  bool failed = false;
};

// True for a matrix with so few combinations that each is worth a line.
bool IsSmallMatrix(const v1::Step& step);

// The line of `event`, which was just applied to `view`; nothing worth a line has an empty mark.
// Of a foreach's items only failures, retries and waits are worth one.
StatusLine LineOf(const v1::ExecutionEvent& event, const proto::RunView& view,
                  const Glyphs& glyphs);

// What a step or item (T) that waits, or is held, waits for: "waits until 14:02:11 (in 9m)", "held
// before its start  beamline resume 8c3k1v".
template <typename T>
std::string WaitText(const T& node, const std::string& run_id, absl::Time now);

// The step at `path`, or null; for a path of an item its foreach step.
const v1::Step* FindStep(const v1::Run& run, std::string_view path);
// The item that `path` ends with ("enrich[17]"), or null.
const v1::Item* FindItem(const v1::Run& run, std::string_view path);

}  // namespace beamline::cli
