// Whether one JSON value holds another.
#pragma once

#include <string_view>

namespace beamline::flowspec {

// True if `value` holds `wanted`: an object has at least the members of `wanted`, each of which
// holds the wanted one; everything else is equal, numbers by value. False where either is no JSON.
bool JsonHolds(std::string_view value, std::string_view wanted);

}  // namespace beamline::flowspec
