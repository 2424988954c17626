// Memory that only the start of the process needed.
#pragma once

namespace beamline::daemon {

// Gives back the pages of programs and libraries that are mapped but cannot be changed: the dynamic
// linker reads all their tables once, and the kernel maps what lies around each page it reads. What
// is needed again comes from the page cache, in a microsecond; what is not stays out.
void ReleaseStartupPages();

}  // namespace beamline::daemon
