// Money as people read it.
#pragma once

#include <cstdint>
#include <string>

namespace beamline::flowspec {

// Billionths of a US dollar: "$0.41", "$12.30", "$0.0123", "$0.00"; less than a hundredth of a cent
// keeps its first digit: "$2e-06".
std::string Dollars(int64_t nano_usd);

}  // namespace beamline::flowspec
