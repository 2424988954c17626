// What goes on in a daemon, as a screen of text and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/admin.pb.h"
#include "cli/context.h"

namespace beamline::cli {

// Runs that started and finished a second.
struct RunRate {
  double started = 0, finished = 0;
};

// Between two answers of the same daemon; of another one, or too soon, nothing.
std::optional<RunRate> RateBetween(const v1::GetActivityResponse& before,
                                   const v1::GetActivityResponse& now);
// Of the last minute.
RunRate RateOfLastMinute(const v1::GetActivityResponse& now);

// Lines of at most `width` columns; at most `height` of them (0: all), of which the most important
// ones come first. Tables that do not fit say how much is left out.
std::vector<std::string> TopLines(const v1::GetActivityResponse& activity, const RunRate& rate,
                                  const Stream& stream, int width, int height);

// The documented shape (`beamline top --help`).
std::string TopJson(const v1::GetActivityResponse& activity, const RunRate& rate);

}  // namespace beamline::cli
