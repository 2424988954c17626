// Labels as one searchable text, "&key=value&key=value&", so that a filter is a substring.
#pragma once

#include <string>
#include <string_view>

#include "daemon/run/event.h"

namespace beamline::store {

// Empty for no labels. '&', '=' and '%' within a key or value become %26, %3d and %25.
std::string LabelsText(const run::Labels& labels);
run::Labels ParseLabels(std::string_view text);
// True if every one of `wanted` is among `labels`.
bool HasLabels(const run::Labels& labels, const run::Labels& wanted);

}  // namespace beamline::store
