// What a flow would do, worked out from its checked values and those of the flows beside it:
// nothing runs, no daemon is asked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/permissions.h"
#include "flowspec/flow.h"

namespace beamline::cli {

// How often something is done at worst. `count` is a bound, times the items of each of `per`.
struct Bound {
  int64_t count = 1;
  std::vector<std::string> per;  // ids of steps whose foreach is as wide as its data
};

struct PlannedStep {
  int32_t step = 0;                // index into Flow::steps
  int depth = 0;                   // 0 = top level
  std::string does;                // one line: the command, "POST https://…"
  std::vector<std::string> after;  // "list", "test (done)"
  std::vector<std::string> notes;  // "for each of steps.list.output, 8 at a time", "if …"
  Bound attempts;                  // of this step in the whole run
  Bound undoing{0, {}};            // of the step that undoes it
};

struct PlanOfFlow {
  std::string digest;              // of the flow with the files that it brings along
  std::vector<PlannedStep> steps;  // in the order of the flow, sections one after the other
  Permissions permissions;
  int64_t attempts_max = 0;          // of all steps without `per`, those of used flows included
  std::vector<Bound> unbounded;      // of those with
  std::vector<std::string> unknown;  // flows whose attempts are not known, by their `uses`
};

// `children` finds the flows that it uses; what those touch and do is counted with it.
PlanOfFlow MakePlan(const flowspec::Flow& flow, const flowspec::ChildFlows& children);

// {"flow", "digest", "inputs": […], "steps": […], "permissions": {…}, "attempts_max", …}
std::string PlanJson(const flowspec::Flow& flow, const PlanOfFlow& plan);
// For people; no line longer than `width` on a terminal.
std::string PlanText(const flowspec::Flow& flow, const PlanOfFlow& plan, const Stream& stream,
                     int width);

// `body` as JSON text where each hole shows its expression as "${{ … }}".
std::string ShownTemplate(const flowspec::Flow& flow, const flowspec::Template& body);

}  // namespace beamline::cli
