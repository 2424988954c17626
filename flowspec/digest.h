// SHA-256, by which flows are pinned.
#pragma once

#include <string>
#include <string_view>

namespace beamline::flowspec {

// Lower-case hex, 64 digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace beamline::flowspec
