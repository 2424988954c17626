// The manual pages in mdoc: those of commands are made from the command table, that of the flow
// format from its catalogue of keys. Only the daemon's page is written by hand (man/beamlined.8).
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace beamline::cli {

struct ManualPage {
  std::string file;  // "beamline-runs.1"
  std::string text;
};

// beamline.1, one page for each family of commands, and beamline-flow.5.
std::vector<ManualPage> ManualPages();

// The page of the flow format, dated `date`.
std::string FlowManual(const std::string& date);

}  // namespace beamline::cli
