// Changes of values and of texts as lines for people, in one way wherever they are shown.
#pragma once

#include <string>
#include <vector>

#include "cli/json_diff.h"

namespace beamline::cli {

// ".who  "you" → "me"", "+ .new  1", "- .old  2"; texts of several lines as a diff below their
// path. No line is wider than `width`.
std::vector<std::string> ValueChangeLines(const std::vector<ValueChange>& changes, size_t left_out,
                                          bool color, int width);

// The lines of a unified diff in its colours. It comes from elsewhere: nothing in it reaches the
// terminal as anything but text.
std::vector<std::string> DiffLines(const std::string& diff, bool color);

}  // namespace beamline::cli
