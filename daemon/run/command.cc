// What copies, moves and destroys wishes, compiled once; see command.h.
#include "daemon/run/command.h"

namespace beamline::run {

Wish::Wish(const Wish&) = default;
Wish::Wish(Wish&&) noexcept = default;
Wish& Wish::operator=(const Wish&) = default;
Wish& Wish::operator=(Wish&&) noexcept = default;
Wish::~Wish() = default;

}  // namespace beamline::run
