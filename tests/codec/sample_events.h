// One event of each fact, with every field set, and a text form to compare events by.
#pragma once

#include <string>
#include <vector>

#include "daemon/run/event.h"

namespace beamline::codec {

std::vector<run::Event> SampleEvents();

// All that `event` says, on one line: two events that differ anywhere differ in their text.
std::string Show(const run::Event& event);

}  // namespace beamline::codec
