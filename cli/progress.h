// How a run is shown while it goes on; one implementation for each kind of reader.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "beamline/v1/orchestrator.pb.h"
#include "cli/context.h"
#include "proto/run_view.h"

namespace beamline::cli {

// Called from one thread. Writes to context.err only.
class Progress {
 public:
  virtual ~Progress() = default;
  // `event` was just applied to `view`.
  virtual void OnEvent(const v1::ExecutionEvent& event, const proto::RunView& view) = 0;
  virtual void OnOutput(const v1::TailOutputResponse& chunk) = 0;
  // Whether what steps print is shown at all.
  virtual bool wants_output() const { return true; }
  // Ten times a second, and when the terminal's size changes.
  virtual void OnTick(const proto::RunView& view, absl::Time now);
  // A question or note that stays in sight until it is replaced; "" takes it away.
  virtual void ShowNote(const std::string& note);
  // The process is about to be stopped by job control, and may go on after that.
  virtual void Suspend();
  // Nothing comes any more: leaves behind what should stay.
  virtual void OnEnd(const proto::RunView& view) = 0;
};

enum class ProgressKind { kAuto, kTty, kPlain, kJsonl, kNone };
// "auto", "tty", …; kAuto for anything else.
ProgressKind ProgressKindFromWord(std::string_view word);

// Where in the flow's source each step stands, for annotations in a CI system.
struct FlowPlaces {
  std::string file;
  std::map<std::string, int> line_of_step;
};

// kAuto: a live tree on a terminal that can move its cursor, groups and annotations under GitHub
// Actions, else (in any CI system, too) plain lines.
// Nothing with --quiet. `context` is borrowed.
std::unique_ptr<Progress> MakeProgress(ProgressKind kind, const Context& context,
                                       FlowPlaces places);

// The implementations (tree_progress.cc, plain.cc, github.cc).
std::unique_ptr<Progress> MakeTreeProgress(const Context& context);
std::unique_ptr<Progress> MakePlainProgress(const Context& context);
std::unique_ptr<Progress> MakeGithubProgress(const Context& context, FlowPlaces places);

}  // namespace beamline::cli
