// Facts and effects as the lines that transcripts and failing tests show.
#pragma once

#include <string>

#include "daemon/run/effect.h"
#include "daemon/run/event.h"

namespace beamline::run {

// The origin of time in tests.
absl::Time TestStart();

// "AttemptFinished build#1 failed (exit: exit code 1)"; times as offsets from TestStart().
std::string Describe(const Event& event);

// "ResolveStep build#2 at +2s"
std::string Describe(const Effect& effect);

}  // namespace beamline::run
