// What a flow touches when it runs: programs, hosts, secrets, models, queues, other flows.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flowspec/flow.h"

namespace beamline::cli {

// Each once, in the order of the steps. What is computed in a run stands as `…`.
struct Permissions {
  std::vector<std::string> commands;  // programs of argv steps; shells of text steps
  std::vector<std::string> hosts;     // of http steps
  std::vector<flowspec::Secret> secrets;
  std::vector<std::string> models;                           // "route writer", "openai/gpt-5"
  std::vector<std::string> queues;                           // "enrich Enrich/v2"
  std::vector<std::pair<std::string, std::string>> flows;    // `uses`, digest ("" if not known)
  std::vector<std::pair<std::string, std::string>> signals;  // "sends" or "awaits", name

  bool empty() const;
};

// Adds what the step itself touches. `children` finds the flows that it uses.
void AddPermissions(const flowspec::Step& step, const flowspec::ChildFlows& children,
                    Permissions* permissions);
// Adds what is not there yet, such as that of a flow that is used.
void AddAll(const Permissions& more, Permissions* permissions);

// The lines below a heading, for people; no line wider than `width`.
std::string PermissionsText(const Permissions& permissions, int width);
// {"commands": […], "hosts": […], "secrets": […], …}
std::string PermissionsJson(const Permissions& permissions);

}  // namespace beamline::cli
